#ifndef TFLM_OPS_KERNELS_DEPTHWISE_CONV2D_LAYER_H_
#define TFLM_OPS_KERNELS_DEPTHWISE_CONV2D_LAYER_H_

#include "tflm_ops/kernels/conv_layer.h"
#include "tflm_ops/kernels/weighted.h"
#include "tflm_ops/math/depthwise_conv2d.h"

namespace medyate {

struct DepthwiseConv2dLayer : ConvLayer {
  static constexpr const char* kForwardName = kDepthwiseConv2dName;
  static constexpr const char* kInputGradientName = kDepthwiseConv2dInputGradientName;
  static constexpr const char* kUpdateName = kDepthwiseConv2dUpdateName;

  bool Read(const OpCall& call) {
    return call.Read(&options) && ReadDepthwiseConv2d(call, options, &shape, &slot);
  }
  void GetWeightShape(int* sides) const {
    sides[0] = shape.in_channels;
    sides[1] = shape.h.kernel;
    sides[2] = shape.w.kernel;
    sides[3] = shape.out_channels / shape.in_channels;
  }

  void Forward(const float* x, const math::Weights& w, const float* bias, float* y) const {
    math::DepthwiseConv2dForward(shape, x, w, bias, y);
  }
  void InputGradient(const float* dy, const math::Weights& w, float* dx) const {
    math::DepthwiseConv2dInputGradient(shape, dy, w, dx);
  }
  void WeightGradient(const float* stash, const uint16_t* channels, int n, const float* dy,
                      float* dw) const {
    math::DepthwiseConv2dWeightGradientSelected(shape, stash, channels, n, dy, dw);
  }
};

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_DEPTHWISE_CONV2D_LAYER_H_
