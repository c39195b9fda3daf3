// MEDYATE_CONV_2D_UPDATE: w -= rate * (stash * dy), bias -= rate * (sum of dy).

#include "tflm_ops/kernels/conv2d_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterConv2dUpdate() { return RegisterUpdate<Conv2dLayer>(); }

}  // namespace medyate
