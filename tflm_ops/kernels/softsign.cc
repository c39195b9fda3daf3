// MEDYATE_SOFTSIGN: y = x / (1 + |x|); and MEDYATE_SOFTSIGN_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {

tflm::Registration RegisterSoftsign() {
  return Unary<kSoftsignName, ElementsOptions, PlainForward<math::SoftsignForward>>::Register();
}

tflm::Registration RegisterSoftsignGradient() {
  return UnaryGradient<kSoftsignGradientName, ElementsOptions,
                       PlainBackward<math::SoftsignBackward>>::Register();
}

}  // namespace medyate
