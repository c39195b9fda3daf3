// MEDYATE_SOFTMAX: a softmax inside a model; and MEDYATE_SOFTMAX_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {
namespace {

void Forward(const SoftmaxOptions& o, const float* x, int n, float* y) {
  math::SoftmaxForward(o.size, o.inner, x, n, y);
}

void Backward(const SoftmaxOptions& o, const float* kept, const float* dy, int n, float* dx) {
  math::SoftmaxBackward(o.size, o.inner, kept, dy, n, dx);
}

}  // namespace

tflm::Registration RegisterSoftmax() {
  return Unary<kSoftmaxName, SoftmaxOptions, Forward>::Register();
}

tflm::Registration RegisterSoftmaxGradient() {
  return UnaryGradient<kSoftmaxGradientName, SoftmaxOptions, Backward>::Register();
}

}  // namespace medyate
