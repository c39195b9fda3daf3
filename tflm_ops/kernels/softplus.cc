// MEDYATE_SOFTPLUS: y = log(1 + exp x); and MEDYATE_SOFTPLUS_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {

tflm::Registration RegisterSoftplus() {
  return Unary<kSoftplusName, ElementsOptions, PlainForward<math::SoftplusForward>>::Register();
}

tflm::Registration RegisterSoftplusGradient() {
  return UnaryGradient<kSoftplusGradientName, ElementsOptions,
                       PlainBackward<math::SoftplusBackward>>::Register();
}

}  // namespace medyate
