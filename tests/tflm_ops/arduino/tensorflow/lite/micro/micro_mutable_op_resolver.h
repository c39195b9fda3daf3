#ifndef TESTS_ARDUINO_TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_
#define TESTS_ARDUINO_TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_

#include <string.h>

#include "tensorflow/lite/micro/micro_common.h"

namespace tflite {

// Keeps up to N ops, each once.
template <unsigned N>
class MicroMutableOpResolver {
 public:
  TfLiteStatus AddCustom(const char* name, const TFLMRegistration* registration) {
    if (count == N) return kTfLiteError;
    for (unsigned i = 0; i < count; ++i) {
      if (strcmp(ops[i].custom_name, name) == 0) return kTfLiteError;
    }
    ops[count] = *registration;
    ops[count++].custom_name = name;
    return kTfLiteOk;
  }

  TFLMRegistration ops[N];
  unsigned count = 0;
};

}  // namespace tflite

#endif  // TESTS_ARDUINO_TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_
