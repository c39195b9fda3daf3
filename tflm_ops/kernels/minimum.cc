// MEDYATE_MINIMUM: min(a, b); and MEDYATE_MINIMUM_GRADIENT.

#include "tflm_ops/kernels/binary.h"

namespace medyate {

tflm::Registration RegisterMinimum() {
  return Binary<kMinimumName, math::MinimumForward>::Register();
}

tflm::Registration RegisterMinimumGradient() {
  return BinaryGradient<kMinimumGradientName, true, math::MinimumBackward>::Register();
}

}  // namespace medyate
