#ifndef TFLM_OPS_KERNELS_UNARY_H_
#define TFLM_OPS_KERNELS_UNARY_H_

// Ops that compute each element from one other, and their gradients from what the op read.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

template <const char* kName, void (*kForward)(const float* x, int n, float* y)>
struct Unary {
  static tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    ElementsOptions options;
    MEDYATE_CHECK(call.Read(&options));
    MEDYATE_CHECK(call.Require(call.inputs() == 1, "inputs", 1, call.inputs()));
    MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
    MEDYATE_CHECK(call.RequireAtLeast(call.Input(0), "input", tflm::kFloat32, 1));
    MEDYATE_CHECK(
        call.RequireElements(call.Output(0), "output", tflm::kFloat32, Elements(*call.Input(0))));
    return tflm::kOk;
  }

  static tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    kForward(call.InputData<const float>(0), Elements(*call.Input(0)), call.OutputData<float>(0));
    return tflm::kOk;
  }

  static tflm::Registration Register() { return MakeRegistration(kName, Prepare, Eval); }
};

template <const char* kName, void (*kBackward)(const float* x, const float* dy, int n, float* dx)>
struct UnaryGradient {
  enum Input { kForwardInput, kGradient, kCommand, kInputs };

  static tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    ElementsOptions options;
    MEDYATE_CHECK(call.Read(&options));
    MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
    MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
    MEDYATE_CHECK(call.RequireAtLeast(call.Input(kForwardInput), "input", tflm::kFloat32, 1));
    const int n = Elements(*call.Input(kForwardInput));
    MEDYATE_CHECK(
        call.RequireElements(call.Input(kGradient), "output_gradient", tflm::kFloat32, n));
    MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32, n));
    MEDYATE_CHECK(RequireCommand(call, kCommand));
    return tflm::kOk;
  }

  static tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    if (!IsTraining(call, kCommand)) return tflm::kOk;
    kBackward(call.InputData<const float>(kForwardInput), call.InputData<const float>(kGradient),
              Elements(*call.Input(kGradient)), call.OutputData<float>(0));
    return tflm::kOk;
  }

  static tflm::Registration Register() { return MakeRegistration(kName, Prepare, Eval); }
};

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_UNARY_H_
