// MEDYATE_DEPTHWISE_CONV_2D_UPDATE: w -= rate * (stash * dy), bias -= rate * (sum of dy).

#include "tflm_ops/kernels/depthwise_conv2d_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterDepthwiseConv2dUpdate() {
  return RegisterUpdate<DepthwiseConv2dLayer>();
}

}  // namespace medyate
