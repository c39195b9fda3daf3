#ifndef TFLM_OPS_KERNELS_LOSS_H_
#define TFLM_OPS_KERNELS_LOSS_H_

// Loss ops: all but what a kind of loss reads as its label, and computes.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/losses.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {

// Labels that are the number of a class.
struct ClassLabel {
  typedef int32_t Label;
  static constexpr tflm::Type kLabelType = tflm::kInt32;
  static int Labels(int outputs) { return outputs > 0 ? 1 : 0; }
  static int Classes(int outputs) { return outputs; }
  static int ClassOf(const Label* label) { return *label; }
  static bool Check(const OpCall& call, const Label* label, int outputs) {
    return call.RequireRange("label", *label, 0, outputs - 1);
  }
};

// Labels that say what each output should be. They are of no class.
struct Targets {
  typedef float Label;
  static constexpr tflm::Type kLabelType = tflm::kFloat32;
  static int Labels(int outputs) { return outputs; }
  static int Classes(int) { return 0; }
  static int ClassOf(const Label*) { return 0; }
  static bool Check(const OpCall&, const Label*, int) { return true; }
};

// A loss op.
//
// Args:
//   Kind: ClassLabel or Targets with a function Compute(options, outputs, label, n, gradient),
//   which
//     returns the loss of n outputs and overwrites its gradient.
template <const char* kName, typename Kind>
struct LossOp {
  enum Input { kNetOutputs, kLabel, kCommand, kSelection, kClassWeights, kInputs };
  enum Output { kLoss, kGradient, kOutputs };
  typedef typename Kind::Label Label;

  static tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    LossOptions options;
    MEDYATE_CHECK(call.Read(&options));
    MEDYATE_CHECK(RequireOptions(call, options));
    MEDYATE_CHECK(call.RequireRange("inputs", call.inputs(), kSelection, kInputs));
    MEDYATE_CHECK(call.Require(call.outputs() == kOutputs, "outputs", kOutputs, call.outputs()));
    MEDYATE_CHECK(call.RequireAtLeast(call.Input(kNetOutputs), "outputs", tflm::kFloat32, 1));
    const int n = Elements(*call.Input(kNetOutputs));
    const int one[] = {1};
    MEDYATE_CHECK(
        call.RequireElements(call.Input(kLabel), "label", Kind::kLabelType, Kind::Labels(n)));
    MEDYATE_CHECK(RequireCommand(call, kCommand));
    MEDYATE_CHECK(RequireOptionalSelection(call, kSelection));
    MEDYATE_CHECK(RequireClassWeights(call, Kind::Classes(n)));
    MEDYATE_CHECK(call.RequireShape(call.Output(kLoss), "loss", tflm::kFloat32, one));
    MEDYATE_CHECK(call.RequireElements(call.Output(kGradient), "gradient", tflm::kFloat32, n));
    return tflm::kOk;
  }

  static tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    float* loss = call.OutputData<float>(kLoss);
    *loss = 0.0f;
    if (!ReadsLabel(call, kCommand)) return tflm::kOk;
    LossOptions options;
    MEDYATE_CHECK(call.Read(&options));
    const int n = Elements(*call.Input(kNetOutputs));
    const Label* label = call.InputData<const Label>(kLabel);
    MEDYATE_CHECK(Kind::Check(call, label, n));
    float* gradient = call.OutputData<float>(kGradient);
    const float* outputs = call.InputData<const float>(kNetOutputs);
    const float weight = WeightOf(call, options, label);
    *loss = weight * Kind::Compute(options, outputs, label, n, gradient);
    MEDYATE_CHECK(call.RequireThat(math::IsFinite(*loss), "a finite loss; nothing was updated"));
    if (!IsTraining(call, kCommand)) return tflm::kOk;
    for (int i = 0; i < n; ++i) gradient[i] *= weight;
    return CountSample(call, kCommand, kSelection) ? tflm::kOk : tflm::kError;
  }

  static tflm::Registration Register() { return MakeRegistration(kName, Prepare, Eval); }

 private:
  static bool RequireOptions(const OpCall& call, const LossOptions& options) {
    return call.RequireThat(math::IsFinite(options.weight) && options.weight >= 0.0f,
                            "a finite weight of at least 0") &&
           call.RequireThat(options.smoothing >= 0.0f && options.smoothing <= 1.0f,
                            "a smoothing of 0 to 1") &&
           call.RequireThat(math::IsFinite(options.delta) && options.delta > 0.0f,
                            "a finite delta above 0");
  }

  static bool HasClassWeights(const OpCall& call) { return call.inputs() > kClassWeights; }

  static bool RequireClassWeights(const OpCall& call, int classes) {
    if (!HasClassWeights(call)) return true;
    const tflm::EvalTensor* weights = call.Input(kClassWeights);
    if (!call.RequireThat(classes > 0, "no class weights, for labels are of no class") ||
        !call.RequireElements(weights, "class_weights", tflm::kFloat32, classes) ||
        !call.RequireThat(weights->data != nullptr, "the class weights to be a constant")) {
      return false;
    }
    for (int i = 0; i < classes; ++i) {
      const float weight = static_cast<const float*>(weights->data)[i];
      if (!call.RequireThat(math::IsFinite(weight) && weight >= 0.0f,
                            "finite class weights of at least 0")) {
        return false;
      }
    }
    return true;
  }

  static float WeightOf(const OpCall& call, const LossOptions& options, const Label* label) {
    if (!HasClassWeights(call)) return options.weight;
    return options.weight * call.InputData<const float>(kClassWeights)[Kind::ClassOf(label)];
  }
};

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_LOSS_H_
