// MEDYATE_CONV_2D_TRANSPOSE: y = activation(bias + x * w transposed).

#include "tflm_ops/kernels/conv2d_transpose_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterConv2dTranspose() { return RegisterForward<Conv2dTransposeLayer>(); }

}  // namespace medyate
