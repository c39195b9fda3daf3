// MEDYATE_HARD_SIGMOID: y = min(max(x + 3, 0), 6) / 6; and MEDYATE_HARD_SIGMOID_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/activations.h"

namespace medyate {

tflm::Registration RegisterHardSigmoid() {
  return Unary<kHardSigmoidName, ElementsOptions,
               PlainForward<math::HardSigmoidForward>>::Register();
}

tflm::Registration RegisterHardSigmoidGradient() {
  return UnaryGradient<kHardSigmoidGradientName, ElementsOptions,
                       PlainBackward<math::HardSigmoidBackward>>::Register();
}

}  // namespace medyate
