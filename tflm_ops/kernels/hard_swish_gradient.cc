// MEDYATE_HARD_SWISH_GRADIENT: the gradient through HardSwish, from the input that it read.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/activations.h"

namespace medyate {
namespace {

enum Input { kForwardInput, kGradient, kCommand, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kHardSwishGradientName, context, node);
  ElementsOptions options;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(kForwardInput), "input", tflm::kFloat32, 1));
  const int n = Elements(*call.Input(kForwardInput));
  MEDYATE_CHECK(call.RequireElements(call.Input(kGradient), "output_gradient", tflm::kFloat32, n));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32, n));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kHardSwishGradientName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  math::HardSwishBackward(call.InputData<const float>(kForwardInput),
                          call.InputData<const float>(kGradient), Elements(*call.Input(kGradient)),
                          call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterHardSwishGradient() {
  return MakeRegistration(kHardSwishGradientName, Prepare, Eval);
}

}  // namespace medyate
