#ifndef TFLM_OPS_MATH_INT8_ELEMENTWISE_H_
#define TFLM_OPS_MATH_INT8_ELEMENTWISE_H_

// Sums, poolings and conversions of int8 values; see int8.h.

#include <stdint.h>

#include "tflm_ops/math/pooling.h"

namespace medyate {
namespace math {

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

// y = x / scale, rounded half away from zero, plus zero, held within 8 bits; 0 for NaN. y may
// begin where x does.
void Quantize(const float* x, int n, float scale, int zero, int8_t* y);

// y = scale * (x - zero).
void Dequantize(const int8_t* x, int n, float scale, int zero, float* y);

// StashChannels of conv2d.h, of what the values mean.
void StashInt8Channels(const int8_t* x, int pixels, int in_channels, const uint16_t* channels,
                       int n, float scale, int zero, float* stash);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_INT8_ELEMENTWISE_H_
