#ifndef TFLM_OPS_KERNELS_INT8_LAYER_H_
#define TFLM_OPS_KERNELS_INT8_LAYER_H_

// What the convolutions on int8 values share.

#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/math/int8.h"
#include "tflm_ops/math/shape.h"

namespace medyate {

// A convolution's geometry, and its input's zero point.
struct Int8Layer {
  math::ConvShape shape;
  int input_zero;
  int output_zero;
};

enum Int8LayerInput { kInt8Input, kInt8Weights, kInt8Requantization, kInt8LayerInputs };

// Reads and checks Int8Conv2dOptions; outputs are a multiple of the inputs if `is_depthwise`.
bool ReadInt8Layer(const OpCall& call, bool is_depthwise, Int8Layer* layer);

// Checks what an op with other options has read.
bool ReadInt8Layer(const OpCall& call, const Conv2dOptions& conv, int input_zero, int output_zero,
                   bool is_depthwise, Int8Layer* layer);

// Checks input, requantization and output. No sum of `products` products may leave its range.
bool RequireInt8Layer(const OpCall& call, const Int8Layer& layer, int64_t products);

// Checks the constant alone, the op's input of this number.
bool RequireRequantization(const OpCall& call, int input, const Int8Layer& layer, int64_t products);

// The constant as three arrays.
math::Requantization RequantizationOf(const OpCall& call, int input, const Int8Layer& layer);

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_INT8_LAYER_H_
