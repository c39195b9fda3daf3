// MEDYATE_MAXIMUM: max(a, b); and MEDYATE_MAXIMUM_GRADIENT.

#include "tflm_ops/kernels/binary.h"

namespace medyate {

tflm::Registration RegisterMaximum() {
  return Binary<kMaximumName, math::MaximumForward>::Register();
}

tflm::Registration RegisterMaximumGradient() {
  return BinaryGradient<kMaximumGradientName, true, math::MaximumBackward>::Register();
}

}  // namespace medyate
