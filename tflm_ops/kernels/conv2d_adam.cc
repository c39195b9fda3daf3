// MEDYATE_CONV_2D_ADAM: the gradients of MEDYATE_CONV_2D_UPDATE, and a step of Adam.

#include "tflm_ops/kernels/conv2d_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

struct Layer : Conv2dLayer {
  static constexpr const char* kUpdateName = kConv2dAdamName;
};

}  // namespace

tflm::Registration RegisterConv2dAdam() { return RegisterUpdate<Layer, Adam>(); }

}  // namespace medyate
