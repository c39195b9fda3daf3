// MEDYATE_SOFTMAX_CROSS_ENTROPY: the loss, and its gradient with respect to the logits.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/losses.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace {

enum Input { kLogits, kLabel, kCommand, kSelection, kInputs };
enum Output { kLoss, kLogitsGradient, kOutputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kSoftmaxCrossEntropyName, context, node);
  LossOptions options;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(
      call.RequireThat(math::IsFinite(options.gradient_scale), "a finite gradient_scale"));
  MEDYATE_CHECK(call.RequireRange("inputs", call.inputs(), kSelection, kInputs));
  MEDYATE_CHECK(call.Require(call.outputs() == kOutputs, "outputs", kOutputs, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(kLogits), "logits", tflm::kFloat32, 1));
  const int classes = Elements(*call.Input(kLogits));
  const int one[] = {1};
  MEDYATE_CHECK(call.RequireShape(call.Input(kLabel), "label", tflm::kInt32, one));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  MEDYATE_CHECK(RequireOptionalSelection(call, kSelection));
  MEDYATE_CHECK(call.RequireShape(call.Output(kLoss), "loss", tflm::kFloat32, one));
  MEDYATE_CHECK(call.RequireElements(call.Output(kLogitsGradient), "logits_gradient",
                                     tflm::kFloat32, classes));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kSoftmaxCrossEntropyName, context, node);
  float* loss = call.OutputData<float>(kLoss);
  *loss = 0.0f;
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  LossOptions options;
  MEDYATE_CHECK(call.Read(&options));
  const int classes = Elements(*call.Input(kLogits));
  const int label = *call.InputData<const int32_t>(kLabel);
  MEDYATE_CHECK(call.RequireRange("label", label, 0, classes - 1));
  float* gradient = call.OutputData<float>(kLogitsGradient);
  *loss = math::SoftmaxCrossEntropyForward(call.InputData<const float>(kLogits), classes, label,
                                           gradient);
  MEDYATE_CHECK(call.RequireThat(math::IsFinite(*loss), "a finite loss; nothing was updated"));
  MEDYATE_CHECK(CountSample(call, kCommand, kSelection));
  math::SoftmaxCrossEntropyBackward(gradient, classes, label, options.gradient_scale, gradient);
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterSoftmaxCrossEntropy() {
  return MakeRegistration(kSoftmaxCrossEntropyName, Prepare, Eval);
}

}  // namespace medyate
