// MEDYATE_SOFTMAX_CROSS_ENTROPY: the loss of a class, after a softmax of the outputs, and its
// gradient.

#include "tflm_ops/kernels/loss.h"

namespace medyate {
namespace {

struct Kind : ClassLabel {
  static float Compute(const LossOptions& options, const float* outputs, const Label* label, int n,
                       float* gradient) {
    return math::SoftmaxCrossEntropy(outputs, n, *label, options.smoothing, gradient);
  }
};

}  // namespace

tflm::Registration RegisterSoftmaxCrossEntropy() {
  return LossOp<kSoftmaxCrossEntropyName, Kind>::Register();
}

}  // namespace medyate
