#ifndef TFLM_OPS_KERNELS_CONV2D_TRANSPOSE_LAYER_H_
#define TFLM_OPS_KERNELS_CONV2D_TRANSPOSE_LAYER_H_

#include "tflm_ops/kernels/weighted.h"
#include "tflm_ops/math/conv2d_transpose.h"

namespace medyate {

struct Conv2dTransposeLayer {
  static constexpr const char* kForwardName = kConv2dTransposeName;
  static constexpr const char* kInputGradientName = kConv2dTransposeInputGradientName;
  static constexpr const char* kUpdateName = kConv2dTransposeUpdateName;
  static constexpr int kWeightRank = 4;

  bool Read(const OpCall& call) {
    return call.Read(&options) && ReadConv2dTranspose(call, options, &shape, &slot);
  }
  int pixels() const { return shape.h.in * shape.w.in; }
  int input_elements() const { return shape.h.out * shape.w.out * shape.out_channels; }
  int output_elements() const { return pixels() * shape.in_channels; }
  void GetWeightShape(int* sides) const {
    sides[0] = shape.out_channels;
    sides[1] = shape.h.kernel;
    sides[2] = shape.w.kernel;
    sides[3] = shape.in_channels;
  }

  void Forward(const float* x, const math::Weights& w, const float* bias, float* y) const {
    math::Conv2dTransposeForward(shape, x, w, bias, y);
  }
  void InputGradient(const float* dy, const math::Weights& w, float* dx) const {
    math::Conv2dTransposeInputGradient(shape, dy, w, dx);
  }
  void WeightGradient(const float* stash, const uint16_t*, int n, const float* dy,
                      float* dw) const {
    math::Conv2dTransposeWeightGradientSelected(shape, stash, n, dy, dw);
  }

  Conv2dOptions options;
  math::ConvShape shape;  // Of the convolution from output to input.
  Slot slot;
};

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_CONV2D_TRANSPOSE_LAYER_H_
