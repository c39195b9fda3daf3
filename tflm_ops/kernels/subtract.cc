// MEDYATE_SUBTRACT: a - b; and MEDYATE_SUBTRACT_GRADIENT.

#include "tflm_ops/kernels/binary.h"

namespace medyate {

tflm::Registration RegisterSubtract() {
  return Binary<kSubtractName, math::SubtractForward>::Register();
}

tflm::Registration RegisterSubtractGradient() {
  return BinaryGradient<kSubtractGradientName, false, math::SubtractBackward>::Register();
}

}  // namespace medyate
