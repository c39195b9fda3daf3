// MEDYATE_DEPTHWISE_CONV_2D: y = activation(bias + x * w).

#include "tflm_ops/kernels/depthwise_conv2d_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterDepthwiseConv2d() { return RegisterForward<DepthwiseConv2dLayer>(); }

}  // namespace medyate
