// MEDYATE_MEAN_SQUARED_ERROR: the mean of the squared differences, and its gradient.

#include "tflm_ops/kernels/loss.h"

namespace medyate {
namespace {

struct Kind : Targets {
  static float Compute(const LossOptions&, const float* outputs, const Label* label, int n,
                       float* gradient) {
    return math::MeanSquaredError(outputs, label, n, gradient);
  }
};

}  // namespace

tflm::Registration RegisterMeanSquaredError() {
  return LossOp<kMeanSquaredErrorName, Kind>::Register();
}

}  // namespace medyate
