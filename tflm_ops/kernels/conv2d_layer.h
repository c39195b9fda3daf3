#ifndef TFLM_OPS_KERNELS_CONV2D_LAYER_H_
#define TFLM_OPS_KERNELS_CONV2D_LAYER_H_

#include "tflm_ops/kernels/conv_layer.h"
#include "tflm_ops/kernels/weighted.h"
#include "tflm_ops/math/conv2d.h"

namespace medyate {

struct Conv2dLayer : ConvLayer {
  static constexpr const char* kForwardName = kConv2dName;
  static constexpr const char* kInputGradientName = kConv2dInputGradientName;
  static constexpr const char* kUpdateName = kConv2dUpdateName;

  bool Read(const OpCall& call) {
    return call.Read(&options) && ReadConv2d(call, options, &shape, &slot);
  }
  void GetWeightShape(int* sides) const {
    sides[0] = shape.in_channels;
    sides[1] = shape.h.kernel;
    sides[2] = shape.w.kernel;
    sides[3] = shape.out_channels;
  }

  void Forward(const float* x, const math::Weights& w, const float* bias, float* y) const {
    math::Conv2dForward(shape, x, w, bias, y);
  }
  void InputGradient(const float* dy, const math::Weights& w, float* dx) const {
    math::Conv2dInputGradient(shape, dy, w, dx);
  }
  void WeightGradient(const float* stash, const uint16_t*, int n, const float* dy,
                      float* dw) const {
    math::Conv2dWeightGradientSelected(shape, stash, n, dy, dw);
  }
};

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_CONV2D_LAYER_H_
