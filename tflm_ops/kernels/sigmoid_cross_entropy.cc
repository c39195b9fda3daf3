// MEDYATE_SIGMOID_CROSS_ENTROPY: the loss of targets from 0 to 1, after a sigmoid of the outputs,
// and its gradient.

#include "tflm_ops/kernels/loss.h"

namespace medyate {
namespace {

struct Kind : Targets {
  // A single output is of two classes.
  static int Classes(int outputs) { return outputs == 1 ? 2 : 0; }
  // Rounds to even, as Keras does.
  static int ClassOf(const Label* label) { return *label > 0.5f ? 1 : 0; }
  static bool Check(const OpCall& call, const Label* label, int outputs) {
    for (int i = 0; i < outputs; ++i) {
      if (!call.RequireThat(label[i] >= 0.0f && label[i] <= 1.0f, "targets from 0 to 1")) {
        return false;
      }
    }
    return true;
  }
  static float Compute(const LossOptions& options, const float* outputs, const Label* label, int n,
                       float* gradient) {
    return math::SigmoidCrossEntropy(outputs, label, n, options.smoothing, gradient);
  }
};

}  // namespace

tflm::Registration RegisterSigmoidCrossEntropy() {
  return LossOp<kSigmoidCrossEntropyName, Kind>::Register();
}

}  // namespace medyate
