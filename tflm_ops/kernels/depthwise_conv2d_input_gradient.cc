// MEDYATE_DEPTHWISE_CONV_2D_INPUT_GRADIENT: dx = dy * w transposed.

#include "tflm_ops/kernels/depthwise_conv2d_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterDepthwiseConv2dInputGradient() {
  return RegisterInputGradient<DepthwiseConv2dLayer>();
}

}  // namespace medyate
