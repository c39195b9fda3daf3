// MEDYATE_EXPONENTIAL: y = exp x; and MEDYATE_EXPONENTIAL_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {

tflm::Registration RegisterExponential() {
  return Unary<kExponentialName, ElementsOptions,
               PlainForward<math::ExponentialForward>>::Register();
}

tflm::Registration RegisterExponentialGradient() {
  return UnaryGradient<kExponentialGradientName, ElementsOptions,
                       PlainBackward<math::ExponentialBackward>>::Register();
}

}  // namespace medyate
