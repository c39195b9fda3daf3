// MEDYATE_CONV_2D_TRANSPOSE_INPUT_GRADIENT: dx = dy * w.

#include "tflm_ops/kernels/conv2d_transpose_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterConv2dTransposeInputGradient() {
  return RegisterInputGradient<Conv2dTransposeLayer>();
}

}  // namespace medyate
