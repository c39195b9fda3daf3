#ifndef TFLM_OPS_KERNELS_CONV_LAYER_H_
#define TFLM_OPS_KERNELS_CONV_LAYER_H_

// What convolutions have in common; see weighted.h.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/math/shape.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {

struct ConvLayer {
  static constexpr int kWeightRank = 4;

  int pixels() const { return shape.h.out * shape.w.out; }
  int input_elements() const { return shape.h.in * shape.w.in * shape.in_channels; }
  int output_elements() const { return pixels() * shape.out_channels; }

  Conv2dOptions options;
  math::ConvShape shape;
  Slot slot;
};

// A convolution that is never trained. Sizes, kernel, stride, dilation and padding are [2].
inline Conv2dOptions FrozenConvolution(uint32_t version, int32_t input_channels,
                                       int32_t output_channels, const int32_t* input_size,
                                       const int32_t* output_size, const int32_t* kernel_size,
                                       const int32_t* stride, const int32_t* dilation,
                                       const int32_t* padding, int32_t activation = kActivationNone,
                                       float negative_slope = 0.0f) {
  return {version,
          input_channels,
          output_channels,
          {input_size[0], input_size[1]},
          {output_size[0], output_size[1]},
          {kernel_size[0], kernel_size[1]},
          {stride[0], stride[1]},
          {dilation[0], dilation[1]},
          {padding[0], padding[1]},
          activation,
          negative_slope,
          0,
          kStateWords,
          0,
          0,
          0,
          kNoBiasRun,
          kNoImportance};
}

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_CONV_LAYER_H_
