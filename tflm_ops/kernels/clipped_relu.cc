// MEDYATE_CLIPPED_RELU: a ReLU with a top, a threshold and a slope; and
// MEDYATE_CLIPPED_RELU_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/activations.h"

namespace medyate {
namespace {

void Forward(const ReluOptions& o, const float* x, int n, float* y) {
  math::ClippedReluForward(o.max_value, o.threshold, o.negative_slope, x, n, y);
}

void Backward(const ReluOptions& o, const float* kept, const float* dy, int n, float* dx) {
  math::ClippedReluBackward(o.max_value, o.threshold, o.negative_slope, kept, dy, n, dx);
}

}  // namespace

tflm::Registration RegisterClippedRelu() {
  return Unary<kClippedReluName, ReluOptions, Forward>::Register();
}

tflm::Registration RegisterClippedReluGradient() {
  return UnaryGradient<kClippedReluGradientName, ReluOptions, Backward>::Register();
}

}  // namespace medyate
