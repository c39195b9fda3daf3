// MEDYATE_SIGMOID: y = 1 / (1 + exp(-x)); and MEDYATE_SIGMOID_GRADIENT.

#include "tflm_ops/kernels/unary.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {

tflm::Registration RegisterSigmoid() {
  return Unary<kSigmoidName, ElementsOptions, PlainForward<math::SigmoidForward>>::Register();
}

tflm::Registration RegisterSigmoidGradient() {
  return UnaryGradient<kSigmoidGradientName, ElementsOptions,
                       PlainBackward<math::SigmoidBackward>>::Register();
}

}  // namespace medyate
