// MEDYATE_INT8_WEIGHTS_DENSE, MEDYATE_INT8_WEIGHTS_DENSE_INPUT_GRADIENT: a dense layer of floats
// that is never trained, with int8 weights.

#include "tflm_ops/kernels/dense_layer.h"
#include "tflm_ops/kernels/int8_weights.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

struct Layer : DenseLayer {
  static constexpr const char* kForwardName = kInt8WeightsDenseName;
  static constexpr const char* kInputGradientName = kInt8WeightsDenseInputGradientName;
  static constexpr bool kInPlace = false;

  int weights_of_output() const { return options.inputs; }
  int weights_of_input() const { return options.units; }

  void Forward(const float* x, const math::Int8Weights& w, const float* bias,
               const math::Int8Block& block, float* y) const {
    math::Int8WeightsConv2dForward(shape(), x, w, bias, block, y);
  }
  void InputGradient(const float* dy, const math::Int8Weights& w, const math::Int8Block& block,
                     float* dx) const {
    math::Int8WeightsConv2dInputGradient(shape(), dy, w, block, dx);
  }

 private:
  math::ConvShape shape() const {
    return {math::UnitAxis(1), math::UnitAxis(1), options.inputs, options.units};
  }
};

}  // namespace

tflm::Registration RegisterInt8WeightsDense() { return RegisterInt8WeightsForward<Layer>(); }

tflm::Registration RegisterInt8WeightsDenseInputGradient() {
  return RegisterInt8WeightsInputGradient<Layer>();
}

}  // namespace medyate
