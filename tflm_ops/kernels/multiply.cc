// MEDYATE_MULTIPLY: a * b; and MEDYATE_MULTIPLY_GRADIENT.

#include "tflm_ops/kernels/binary.h"

namespace medyate {

tflm::Registration RegisterMultiply() {
  return Binary<kMultiplyName, math::MultiplyForward>::Register();
}

tflm::Registration RegisterMultiplyGradient() {
  return BinaryGradient<kMultiplyGradientName, true, math::MultiplyBackward>::Register();
}

}  // namespace medyate
