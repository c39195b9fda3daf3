#ifndef TFLM_OPS_MATH_DENSE_REFERENCE_H_
#define TFLM_OPS_MATH_DENSE_REFERENCE_H_

// The naive twins of dense.h, in the same order of summation: they must agree bit for bit.

#include <stdint.h>

#include "tflm_ops/math/fp_exact.h"

namespace medyate {
namespace math {
namespace reference {

inline void DenseForward(int inputs, int units, const float* x, const float* w, const float* bias,
                         float* y) {
  for (int o = 0; o < units; ++o) {
    y[o] = bias ? bias[o] : 0.0f;
    for (int i = 0; i < inputs; ++i) y[o] += x[i] * w[i * units + o];
  }
}

inline void DenseInputGradient(int inputs, int units, const float* dy, const float* w, float* dx) {
  for (int i = 0; i < inputs; ++i) {
    dx[i] = 0.0f;
    for (int o = 0; o < units; ++o) dx[i] += dy[o] * w[i * units + o];
  }
}

inline void DenseWeightGradientSelected(int units, const float* stash, int n, const float* dy,
                                        float* dw) {
  for (int k = 0; k < n; ++k) {
    for (int o = 0; o < units; ++o) dw[k * units + o] += stash[k] * dy[o];
  }
}

}  // namespace reference
}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_DENSE_REFERENCE_H_
