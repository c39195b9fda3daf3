// MEDYATE_INT8_INPUT_DEPTHWISE_CONV_2D: a trained depthwise convolution that reads int8 values.

#include "tflm_ops/kernels/depthwise_conv2d_layer.h"
#include "tflm_ops/kernels/int8_input.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

struct Layer : DepthwiseConv2dLayer {
  static constexpr const char* kForwardName = kInt8InputDepthwiseConv2dName;
};

}  // namespace

tflm::Registration RegisterInt8InputDepthwiseConv2d() { return RegisterInt8InputForward<Layer>(); }

}  // namespace medyate
