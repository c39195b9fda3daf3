// MEDYATE_MEAN_ABSOLUTE_ERROR: the mean size of the differences, and its gradient.

#include "tflm_ops/kernels/loss.h"

namespace medyate {
namespace {

struct Kind : Targets {
  static float Compute(const LossOptions&, const float* outputs, const Label* label, int n,
                       float* gradient) {
    return math::MeanAbsoluteError(outputs, label, n, gradient);
  }
};

}  // namespace

tflm::Registration RegisterMeanAbsoluteError() {
  return LossOp<kMeanAbsoluteErrorName, Kind>::Register();
}

}  // namespace medyate
