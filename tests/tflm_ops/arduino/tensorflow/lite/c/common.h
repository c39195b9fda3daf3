#ifndef TESTS_ARDUINO_TENSORFLOW_LITE_C_COMMON_H_
#define TESTS_ARDUINO_TENSORFLOW_LITE_C_COMMON_H_

// Stand-ins for as much of TFLM's C structs as our resolver.h looks at. The real ones are compared
// by bazel test --config=upstream.

#include <stddef.h>
#include <stdint.h>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteNoType = 0, kTfLiteFloat32 = 1, kTfLiteLast = 21 };

struct TfLiteIntArray {
  int size;
  int data[];
};

struct TfLiteEvalTensor {
  void* data;
  TfLiteIntArray* dims;
  TfLiteType type;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
#if defined(TFLM_HAS_MOVED)  // As a version might that we do not know.
  int flags;
#endif
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
};

struct TfLiteContext {
  void* first[5];
  void (*ReportError)(TfLiteContext* context, const char* format, ...);
  void* second[15];
  TfLiteEvalTensor* (*GetEvalTensor)(const TfLiteContext* context, int tensor_index);
};

#endif  // TESTS_ARDUINO_TENSORFLOW_LITE_C_COMMON_H_
