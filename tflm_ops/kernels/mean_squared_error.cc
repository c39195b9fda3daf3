// MEDYATE_MEAN_SQUARED_ERROR: the loss, and its gradient with respect to the outputs.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/losses.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace {

enum Input { kNetOutputs, kTarget, kCommand, kSelection, kInputs };
enum Output { kLoss, kOutputsGradient, kOutputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kMeanSquaredErrorName, context, node);
  LossOptions options;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(
      call.RequireThat(math::IsFinite(options.gradient_scale), "a finite gradient_scale"));
  MEDYATE_CHECK(call.RequireRange("inputs", call.inputs(), kSelection, kInputs));
  MEDYATE_CHECK(call.Require(call.outputs() == kOutputs, "outputs", kOutputs, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(kNetOutputs), "outputs", tflm::kFloat32, 1));
  const int n = Elements(*call.Input(kNetOutputs));
  const int one[] = {1};
  MEDYATE_CHECK(call.RequireElements(call.Input(kTarget), "target", tflm::kFloat32, n));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  MEDYATE_CHECK(RequireOptionalSelection(call, kSelection));
  MEDYATE_CHECK(call.RequireShape(call.Output(kLoss), "loss", tflm::kFloat32, one));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(kOutputsGradient), "outputs_gradient", tflm::kFloat32, n));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kMeanSquaredErrorName, context, node);
  float* loss = call.OutputData<float>(kLoss);
  *loss = 0.0f;
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  LossOptions options;
  MEDYATE_CHECK(call.Read(&options));
  const float* outputs = call.InputData<const float>(kNetOutputs);
  const float* target = call.InputData<const float>(kTarget);
  const int n = Elements(*call.Input(kNetOutputs));
  *loss = math::MeanSquaredErrorForward(outputs, target, n);
  MEDYATE_CHECK(call.RequireThat(math::IsFinite(*loss), "a finite loss; nothing was updated"));
  MEDYATE_CHECK(CountSample(call, kCommand, kSelection));
  math::MeanSquaredErrorBackward(outputs, target, n, options.gradient_scale,
                                 call.OutputData<float>(kOutputsGradient));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterMeanSquaredError() {
  return MakeRegistration(kMeanSquaredErrorName, Prepare, Eval);
}

}  // namespace medyate
