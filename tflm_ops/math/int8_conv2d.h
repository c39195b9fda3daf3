#ifndef TFLM_OPS_MATH_INT8_CONV2D_H_
#define TFLM_OPS_MATH_INT8_CONV2D_H_

// Convolution of int8 values; see int8.h.

#include <stdint.h>

#include "tflm_ops/math/int8.h"
#include "tflm_ops/math/shape.h"

namespace medyate {
namespace math {

// Bytes of scratch memory of Int8Conv2dForward, at an address that int16_t may have.
int Int8PatchBytes(const ConvShape& shape);

// y = requantized(bias + (x - x_zero) * w). Overwrites y.
//
// Args:
//   patches: [Int8PatchBytes], overwritten.
void Int8Conv2dForward(const ConvShape& shape, const int8_t* x, int x_zero, const int8_t* w,
                       const Requantization& to, void* patches, int8_t* y);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_INT8_CONV2D_H_
