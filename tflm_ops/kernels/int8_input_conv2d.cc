// MEDYATE_INT8_INPUT_CONV_2D: a trained convolution that reads int8 values.

#include "tflm_ops/kernels/conv2d_layer.h"
#include "tflm_ops/kernels/int8_input.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

struct Layer : Conv2dLayer {
  static constexpr const char* kForwardName = kInt8InputConv2dName;
};

}  // namespace

tflm::Registration RegisterInt8InputConv2d() { return RegisterInt8InputForward<Layer>(); }

}  // namespace medyate
