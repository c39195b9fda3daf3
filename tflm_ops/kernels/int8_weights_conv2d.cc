// MEDYATE_INT8_WEIGHTS_CONV_2D, MEDYATE_INT8_WEIGHTS_CONV_2D_INPUT_GRADIENT: a convolution of
// floats that is never trained, with int8 weights.

#include "tflm_ops/kernels/conv2d_layer.h"
#include "tflm_ops/kernels/int8_weights.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

struct Layer : Conv2dLayer {
  static constexpr const char* kForwardName = kInt8WeightsConv2dName;
  static constexpr const char* kInputGradientName = kInt8WeightsConv2dInputGradientName;
  static constexpr bool kInPlace = false;

  int weights_of_output() const { return math::WeightsOfOutput(shape); }
  int weights_of_input() const { return math::WeightsOfInput(shape, shape.out_channels); }

  void Forward(const float* x, const math::Int8Weights& w, const float* bias,
               const math::Int8Block& block, float* y) const {
    math::Int8WeightsConv2dForward(shape, x, w, bias, block, y);
  }
  void InputGradient(const float* dy, const math::Int8Weights& w, const math::Int8Block& block,
                     float* dx) const {
    math::Int8WeightsConv2dInputGradient(shape, dy, w, block, dx);
  }
};

}  // namespace

tflm::Registration RegisterInt8WeightsConv2d() { return RegisterInt8WeightsForward<Layer>(); }

tflm::Registration RegisterInt8WeightsConv2dInputGradient() {
  return RegisterInt8WeightsInputGradient<Layer>();
}

}  // namespace medyate
