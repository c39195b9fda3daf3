// MEDYATE_GELU_TANH: the approximate form of GELU, by a tanh; and MEDYATE_GELU_TANH_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {

tflm::Registration RegisterGeluTanh() {
  return Unary<kGeluTanhName, ElementsOptions, PlainForward<math::GeluTanhForward>>::Register();
}

tflm::Registration RegisterGeluTanhGradient() {
  return UnaryGradient<kGeluTanhGradientName, ElementsOptions,
                       PlainBackward<math::GeluTanhBackward>>::Register();
}

}  // namespace medyate
