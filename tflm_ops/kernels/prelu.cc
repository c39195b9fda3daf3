// MEDYATE_P_RELU: a where a > 0, a * b elsewhere; and MEDYATE_P_RELU_GRADIENT.

#include "tflm_ops/kernels/binary.h"

namespace medyate {

tflm::Registration RegisterPRelu() { return Binary<kPReluName, math::PReluForward>::Register(); }

tflm::Registration RegisterPReluGradient() {
  return BinaryGradient<kPReluGradientName, true, math::PReluBackward>::Register();
}

}  // namespace medyate
