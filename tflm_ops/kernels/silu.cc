// MEDYATE_SILU: y = x / (1 + exp(-x)); and MEDYATE_SILU_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {

tflm::Registration RegisterSilu() {
  return Unary<kSiluName, ElementsOptions, PlainForward<math::SiluForward>>::Register();
}

tflm::Registration RegisterSiluGradient() {
  return UnaryGradient<kSiluGradientName, ElementsOptions,
                       PlainBackward<math::SiluBackward>>::Register();
}

}  // namespace medyate
