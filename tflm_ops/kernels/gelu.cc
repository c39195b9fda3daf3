// MEDYATE_GELU: y = x times the normal distribution at x; and MEDYATE_GELU_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {

tflm::Registration RegisterGelu() {
  return Unary<kGeluName, ElementsOptions, PlainForward<math::GeluForward>>::Register();
}

tflm::Registration RegisterGeluGradient() {
  return UnaryGradient<kGeluGradientName, ElementsOptions,
                       PlainBackward<math::GeluBackward>>::Register();
}

}  // namespace medyate
