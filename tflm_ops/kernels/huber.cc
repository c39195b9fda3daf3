// MEDYATE_HUBER: Huber's loss: squares of small differences, the size of large ones, and its
// gradient.

#include "tflm_ops/kernels/loss.h"

namespace medyate {
namespace {

struct Kind : Targets {
  static float Compute(const LossOptions& options, const float* outputs, const Label* label, int n,
                       float* gradient) {
    return math::Huber(outputs, label, n, options.delta, gradient);
  }
};

}  // namespace

tflm::Registration RegisterHuber() { return LossOp<kHuberName, Kind>::Register(); }

}  // namespace medyate
