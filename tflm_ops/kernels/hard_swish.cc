// MEDYATE_HARD_SWISH: y = x * min(max(x + 3, 0), 6) / 6; and MEDYATE_HARD_SWISH_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/activations.h"

namespace medyate {

tflm::Registration RegisterHardSwish() {
  return Unary<kHardSwishName, ElementsOptions, PlainForward<math::HardSwishForward>>::Register();
}

tflm::Registration RegisterHardSwishGradient() {
  return UnaryGradient<kHardSwishGradientName, ElementsOptions,
                       PlainBackward<math::HardSwishBackward>>::Register();
}

}  // namespace medyate
