// MEDYATE_DEPTHWISE_CONV_2D_ADAM: the gradients of MEDYATE_DEPTHWISE_CONV_2D_UPDATE, and a step of
// Adam.

#include "tflm_ops/kernels/depthwise_conv2d_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

struct Layer : DepthwiseConv2dLayer {
  static constexpr const char* kUpdateName = kDepthwiseConv2dAdamName;
};

}  // namespace

tflm::Registration RegisterDepthwiseConv2dAdam() { return RegisterUpdate<Layer, Adam>(); }

}  // namespace medyate
