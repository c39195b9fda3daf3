// MEDYATE_TANH: y = tanh x; and MEDYATE_TANH_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {

tflm::Registration RegisterTanh() {
  return Unary<kTanhName, ElementsOptions, PlainForward<math::TanhForward>>::Register();
}

tflm::Registration RegisterTanhGradient() {
  return UnaryGradient<kTanhGradientName, ElementsOptions,
                       PlainBackward<math::TanhBackward>>::Register();
}

}  // namespace medyate
