// MEDYATE_BROADCAST_ADD: a + b, one of the two repeated; and MEDYATE_BROADCAST_ADD_GRADIENT.

#include "tflm_ops/kernels/binary.h"

namespace medyate {

tflm::Registration RegisterBroadcastAdd() {
  return Binary<kBroadcastAddName, math::BroadcastAddForward>::Register();
}

tflm::Registration RegisterBroadcastAddGradient() {
  return BinaryGradient<kBroadcastAddGradientName, false, math::BroadcastAddBackward>::Register();
}

}  // namespace medyate
