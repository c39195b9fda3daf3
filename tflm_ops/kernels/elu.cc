// MEDYATE_ELU: ELU, and SELU; and MEDYATE_ELU_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {
namespace {

void Forward(const EluOptions& o, const float* x, int n, float* y) {
  math::EluForward(o.alpha, o.scale, x, n, y);
}

void Backward(const EluOptions& o, const float* kept, const float* dy, int n, float* dx) {
  math::EluBackward(o.alpha, o.scale, kept, dy, n, dx);
}

}  // namespace

tflm::Registration RegisterElu() { return Unary<kEluName, EluOptions, Forward>::Register(); }

tflm::Registration RegisterEluGradient() {
  return UnaryGradient<kEluGradientName, EluOptions, Backward>::Register();
}

}  // namespace medyate
