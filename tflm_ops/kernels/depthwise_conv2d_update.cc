// MEDYATE_DEPTHWISE_CONV_2D_UPDATE: delta -= rate * (stash * dy), bias delta -= rate * (sum of dy).

#include "tflm_ops/kernels/depthwise_conv2d_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterDepthwiseConv2dUpdate() {
  return RegisterUpdate<DepthwiseConv2dLayer>();
}

}  // namespace medyate
