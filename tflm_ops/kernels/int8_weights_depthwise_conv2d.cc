// MEDYATE_INT8_WEIGHTS_DEPTHWISE_CONV_2D and its INPUT_GRADIENT: a depthwise convolution of floats
// that is never trained, with int8 weights.

#include "tflm_ops/kernels/depthwise_conv2d_layer.h"
#include "tflm_ops/kernels/int8_weights.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

struct Layer : DepthwiseConv2dLayer {
  static constexpr const char* kForwardName = kInt8WeightsDepthwiseConv2dName;
  static constexpr const char* kInputGradientName = kInt8WeightsDepthwiseConv2dInputGradientName;
  static constexpr bool kInPlace = true;

  int weights_of_output() const { return weights_of_input(); }
  int weights_of_input() const {
    return math::WeightsOfInput(shape, shape.out_channels / shape.in_channels);
  }

  void Forward(const float* x, const math::Int8Weights& w, const float* bias,
               const math::Int8Block& block, float* y) const {
    math::Int8WeightsDepthwiseConv2dForward(shape, x, w, bias, block, y);
  }
  void InputGradient(const float* dy, const math::Int8Weights& w, const math::Int8Block& block,
                     float* dx) const {
    math::Int8WeightsDepthwiseConv2dInputGradient(shape, dy, w, block, dx);
  }
};

}  // namespace

tflm::Registration RegisterInt8WeightsDepthwiseConv2d() {
  return RegisterInt8WeightsForward<Layer>();
}

tflm::Registration RegisterInt8WeightsDepthwiseConv2dInputGradient() {
  return RegisterInt8WeightsInputGradient<Layer>();
}

}  // namespace medyate
