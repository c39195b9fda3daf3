#ifndef TFLM_OPS_MATH_POOLING_H_
#define TFLM_OPS_MATH_POOLING_H_

// Pooling of one sample in float32: forward, and backward right beside it.
//
//   x   [H][W][C]     input       dx  its gradient
//   y   [OH][OW][C]   output      dy  its gradient
//
// Padding is never counted: a maximum is taken, and an average divided, over the input positions
// that exist; every window must have one.

#include <stdint.h>

#include "tflm_ops/math/shape.h"

namespace medyate {
namespace math {

struct PoolShape {
  Axis h;  // Dilation 1.
  Axis w;
  int channels;  // C.
};

// Bits that tell which position of the window a maximum came from: log2(KH * KW), rounded up.
int MaxPoolChoiceBits(const PoolShape& shape);

// Bytes of the choices of all outputs.
int MaxPoolChoiceBytes(const PoolShape& shape);

// y = maximum of the window; the first one where several are equal, NaN if it holds one.
// Overwrites y and choices.
//
// Args:
//   choices: [MaxPoolChoiceBytes], entries kh * KW + kw packed as bits.h says; may be null
//     (inference).
void MaxPoolForward(const PoolShape& shape, const float* x, float* y, uint8_t* choices);

// dx = dy at the chosen positions, added up where windows overlap, 0 elsewhere. Overwrites dx.
//
// Returns:
//   Whether every choice is an input position of its window. Choices are data: none is followed
//   out of its window, and after a wrong one dx is not complete.
bool MaxPoolBackward(const PoolShape& shape, const uint8_t* choices, const float* dy, float* dx);

// y = mean of the window. Overwrites y.
void AveragePoolForward(const PoolShape& shape, const float* x, float* y);

// dx = sum over the windows that hold it of dy / (positions in the window). Overwrites dx.
void AveragePoolBackward(const PoolShape& shape, const float* dy, float* dx);

// y[c] = mean over pixels of x[pixel][c]. Overwrites y.
void GlobalAveragePoolForward(const float* x, int pixels, int channels, float* y);

// dx[pixel][c] = dy[c] / pixels. Overwrites dx.
void GlobalAveragePoolBackward(const float* dy, int pixels, int channels, float* dx);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_POOLING_H_
