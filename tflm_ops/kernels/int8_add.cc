// MEDYATE_INT8_ADD: a + b of int8 values.

#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/int8.h"
#include "tflm_ops/math/int8_elementwise.h"

namespace medyate {
namespace {

enum Input { kA, kB, kInputs };

bool ReadTerms(const OpCall& call, math::Int8Term (&terms)[3]) {
  Int8AddOptions options;
  if (!call.Read(&options)) return false;
  for (int i = 0; i < 3; ++i) {
    if (!call.RequireRange("zero", options.zero[i], -128, 127) ||
        !call.RequireRange("multiplier", options.multiplier[i], 0, 0x7fffffff) ||
        !call.RequireRange("shift", options.shift[i], 0, math::kHighestShift)) {
      return false;
    }
    terms[i] = {options.zero[i], options.multiplier[i], options.shift[i]};
  }
  return true;
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8AddName, context, node);
  math::Int8Term terms[3];
  MEDYATE_CHECK(ReadTerms(call, terms));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(kA), "a", tflm::kInt8, 1));
  const int n = Elements(*call.Input(kA));
  MEDYATE_CHECK(call.RequireElements(call.Input(kB), "b", tflm::kInt8, n));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "sum", tflm::kInt8, n));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8AddName, context, node);
  math::Int8Term terms[3];
  MEDYATE_CHECK(ReadTerms(call, terms));
  math::Int8AddForward(terms[0], call.InputData<const int8_t>(kA), terms[1],
                       call.InputData<const int8_t>(kB), Elements(*call.Input(kA)), terms[2],
                       call.OutputData<int8_t>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterInt8Add() { return MakeRegistration(kInt8AddName, Prepare, Eval); }

}  // namespace medyate
