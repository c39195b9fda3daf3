// MEDYATE_CONV_2D_TRANSPOSE_UPDATE: w -= rate * (stash * dy), bias -= rate * (sum of dy).

#include "tflm_ops/kernels/conv2d_transpose_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterConv2dTransposeUpdate() {
  return RegisterUpdate<Conv2dTransposeLayer>();
}

}  // namespace medyate
