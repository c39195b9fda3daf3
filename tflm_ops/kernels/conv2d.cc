// MEDYATE_CONV_2D: y = activation(bias + x * w).

#include "tflm_ops/kernels/conv2d_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterConv2d() { return RegisterForward<Conv2dLayer>(); }

}  // namespace medyate
