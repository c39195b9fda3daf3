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

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_CONV_LAYER_H_
