#ifndef TFLM_OPS_MATH_DENSE_H_
#define TFLM_OPS_MATH_DENSE_H_

// Dense (fully connected) layer of one sample in float32: forward, and backward right beside it.
//
//   I, O   inputs and units      N  drawn inputs      c_n  the n-th of them
//
//   x      [I]     input                         dx  its gradient
//   y      [O]     output                        dy  its gradient
//   w      [I][O]  weights, of which those of the drawn inputs may lie elsewhere
//   dw     [N][O]  the loss's gradient with respect to the drawn inputs' weights
//   stash  [N]     the drawn inputs: StashChannels of conv2d.h with one pixel makes it
//
// The bias gradient is BiasGradient of conv2d.h with one pixel. Tensors do not overlap. A dense
// layer sums like a 1x1 convolution of a single pixel, and dense_reference.h holds it to that.

#include <stdint.h>

#include "tflm_ops/math/weights.h"

namespace medyate {
namespace math {

// y = bias + x * w. Overwrites y. Sums start from the bias (null for none) and run over I.
void DenseForward(int inputs, int units, const float* x, const Weights& w, const float* bias,
                  float* y);

// dx = dy * w transposed. Overwrites dx. Sums run over O.
void DenseInputGradient(int inputs, int units, const float* dy, const Weights& w, float* dx);

// dw[n][o] += stash[n] * dy[o]. Accumulates into dw.
void DenseWeightGradientSelected(int units, const float* stash, int n, const float* dy, float* dw);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_DENSE_H_
