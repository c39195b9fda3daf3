#ifndef TFLM_OPS_MATH_INT8_DEPTHWISE_CONV2D_H_
#define TFLM_OPS_MATH_INT8_DEPTHWISE_CONV2D_H_

// Depthwise convolution of int8 values; see int8.h.

#include <stdint.h>

#include "tflm_ops/math/int8.h"
#include "tflm_ops/math/shape.h"

namespace medyate {
namespace math {

// y = requantized(bias + (x - x_zero) * w) of each channel. Overwrites y; out_channels is a
// multiple of in_channels.
void Int8DepthwiseConv2dForward(const ConvShape& shape, const int8_t* x, int x_zero,
                                const int8_t* w, const Requantization& to, int8_t* y);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_INT8_DEPTHWISE_CONV2D_H_
