#ifndef TFLM_OPS_ARDUINO_TFLM_RESOLVER_H_
#define TFLM_OPS_ARDUINO_TFLM_RESOLVER_H_

// Puts our ops into a resolver of TFLM. They are compiled against our own declarations of TFLM's
// structs (tflm_ops/kernels/tflm_abi.h), which describe one version of it: another one, in which
// they have moved, does not compile.

#include <stddef.h>
#include <string.h>

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_common.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/kernels/tflm_abi.h"

namespace medyate {

#define MEDYATE_SAME_FIELD(Ours, Theirs, field)                         \
  static_assert(offsetof(tflm::Ours, field) == offsetof(Theirs, field), \
                "not the TFLM of tflm_abi.h, commit 88f8587: " #Theirs "::" #field)
MEDYATE_SAME_FIELD(Registration, TFLMRegistration, init);
MEDYATE_SAME_FIELD(Registration, TFLMRegistration, prepare);
MEDYATE_SAME_FIELD(Registration, TFLMRegistration, invoke);
MEDYATE_SAME_FIELD(Registration, TFLMRegistration, builtin_code);
MEDYATE_SAME_FIELD(Registration, TFLMRegistration, custom_name);
MEDYATE_SAME_FIELD(Node, TfLiteNode, inputs);
MEDYATE_SAME_FIELD(Node, TfLiteNode, outputs);
MEDYATE_SAME_FIELD(Node, TfLiteNode, custom_initial_data);
MEDYATE_SAME_FIELD(Node, TfLiteNode, custom_initial_data_size);
MEDYATE_SAME_FIELD(EvalTensor, TfLiteEvalTensor, data);
MEDYATE_SAME_FIELD(EvalTensor, TfLiteEvalTensor, dims);
MEDYATE_SAME_FIELD(EvalTensor, TfLiteEvalTensor, type);
MEDYATE_SAME_FIELD(Context, TfLiteContext, ReportError);
MEDYATE_SAME_FIELD(Context, TfLiteContext, GetEvalTensor);
#undef MEDYATE_SAME_FIELD
static_assert(sizeof(tflm::Registration) == sizeof(TFLMRegistration), "TFLMRegistration");
static_assert(sizeof(tflm::Node) == sizeof(TfLiteNode), "TfLiteNode");
static_assert(sizeof(tflm::EvalTensor) == sizeof(TfLiteEvalTensor), "TfLiteEvalTensor");
static_assert(sizeof(tflm::Type) == sizeof(TfLiteType), "enumerations of one size");

// Adds ops by name.
//
// Returns:
//   kTfLiteError if the resolver is full, or has one of them already.
template <unsigned N>
TfLiteStatus AddRegistrations(const tflm::Registration* ops, unsigned count,
                              tflite::MicroMutableOpResolver<N>* resolver) {
  for (unsigned i = 0; i < count; ++i) {
    TFLMRegistration theirs;
    memcpy(&theirs, &ops[i], sizeof(theirs));
    const TfLiteStatus status = resolver->AddCustom(ops[i].custom_name, &theirs);
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

}  // namespace medyate

#endif  // TFLM_OPS_ARDUINO_TFLM_RESOLVER_H_
