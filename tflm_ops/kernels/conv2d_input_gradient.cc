// MEDYATE_CONV_2D_INPUT_GRADIENT: dx = dy * w transposed.

#include "tflm_ops/kernels/conv2d_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterConv2dInputGradient() { return RegisterInputGradient<Conv2dLayer>(); }

}  // namespace medyate
