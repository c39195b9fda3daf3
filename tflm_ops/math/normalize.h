#ifndef TFLM_OPS_MATH_NORMALIZE_H_
#define TFLM_OPS_MATH_NORMALIZE_H_

// Layer, group and RMS normalization of one sample in float32: forward, and backward right beside
// it.
//
//   x      [rows][positions][groups][width]  input    dx  its gradient
//   y      as x                              output   dy  its gradient
//   gamma  [groups][width]                   scale, never trained; null: 1
//   beta   [groups][width]                   shift, never trained; null: 0
//
// The positions and the width of one row and group are a set of n numbers with a mean and a
// variance v of their own: y = (x - mean) / sqrt(v + epsilon) * gamma + beta. Sums over a set run
// over positions, then over the width. What the gradient needs of a set is computed again from x.

namespace medyate {
namespace math {

struct NormShape {
  int rows;
  int positions;
  int groups;
  int width;
  bool centered;  // False: the mean counts as 0 (RMS normalization).
  float epsilon;
};

// Overwrites y, which may be the same memory as x.
void NormalizeForward(const NormShape& shape, const float* x, const float* gamma, const float* beta,
                      float* y);

// Overwrites dx, which may be the same memory as dy.
void NormalizeBackward(const NormShape& shape, const float* x, const float* gamma, const float* dy,
                       float* dx);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_NORMALIZE_H_
