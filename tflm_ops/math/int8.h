#ifndef TFLM_OPS_MATH_INT8_H_
#define TFLM_OPS_MATH_INT8_H_

// Layers on int8 values, bit for bit as TensorFlow Lite's reference kernels: for what is never
// trained. real = scale * (stored - zero point); sums are exact in 32 bits, and each output is
// brought back to 8 bits by a multiplier and a shift of its own channel.
//
//   x  [H][W][I]          y     [OH][OW][O]
//   w  [O][KH][KW][I]     bias  [O] at scale input * weight
//   w  [KH][KW][O]        of a depthwise convolution
//
// Positions outside the input read its zero point, a real 0. Activations need nothing of their own:
// an output whose lowest value is a real 0 has been through a ReLU. No sum may reach 2^30:
// `SumLimit` says how large the products' part can be.

#include <stdint.h>

#include "tflm_ops/math/pooling.h"
#include "tflm_ops/math/shape.h"

namespace medyate {
namespace math {

// How sums become outputs, per output channel.
struct Requantization {
  const int32_t* bias;        // [O].
  const int32_t* multiplier;  // [O], Q31, not negative.
  const int32_t* shift;       // [O], to the right after that, 1 to kHighestShift.
  int zero;                   // The output's zero point.
};

constexpr int kHighestShift = 31;

// The largest magnitude of a sum of `products` products.
inline int64_t SumLimit(int64_t products) { return products * 255 * 128; }

// Bytes of scratch memory of Int8Conv2dForward, at an address that int16_t may have.
int Int8PatchBytes(const ConvShape& shape);

// y = requantized(bias + (x - x_zero) * w). Overwrites y.
//
// Args:
//   patches: [Int8PatchBytes], overwritten.
void Int8Conv2dForward(const ConvShape& shape, const int8_t* x, int x_zero, const int8_t* w,
                       const Requantization& to, void* patches, int8_t* y);

// The same of a depthwise convolution; out_channels is a multiple of in_channels.
void Int8DepthwiseConv2dForward(const ConvShape& shape, const int8_t* x, int x_zero,
                                const int8_t* w, const Requantization& to, int8_t* y);

// One side of a sum.
struct Int8Term {
  int zero;
  int32_t multiplier;
  int shift;  // To the right, 0 to kHighestShift.
};

// y = a + b, by way of 2^20ths of twice the larger scale. Overwrites y, which may be a or b.
void Int8AddForward(const Int8Term& a_terms, const int8_t* a, const Int8Term& b_terms,
                    const int8_t* b, int n, const Int8Term& sum, int8_t* y);

// Mean, rounded half away from zero, and maximum of a window; y has the scale of x. Overwrite y.
void Int8AveragePoolForward(const PoolShape& shape, const int8_t* x, int8_t* y);
void Int8MaxPoolForward(const PoolShape& shape, const int8_t* x, int8_t* y);

// y = x / scale, rounded half away from zero, plus zero, held within 8 bits; 0 for NaN.
void Quantize(const float* x, int n, float scale, int zero, int8_t* y);

// y = scale * (x - zero).
void Dequantize(const int8_t* x, int n, float scale, int zero, float* y);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_INT8_H_
