#ifndef TFLM_OPS_MATH_DENSE_H_
#define TFLM_OPS_MATH_DENSE_H_

// Dense (fully connected) layer of one sample in float32: forward, and backward right beside it.
//
//   I, O   inputs and units      N  drawn inputs      c_n  the n-th of them
//
//   x      [I]     input                         dx  its gradient
//   y      [O]     output                        dy  its gradient
//   w      [I][O]  base weights: those of an input are one contiguous run
//   delta  [N][O]  what training added to the weights of the drawn inputs
//   dw     [N][O]  the loss's gradient with respect to those weights
//   stash  [N]     the drawn inputs: StashChannels of conv2d.h with one pixel makes it
//
// The bias gradient is BiasGradient of conv2d.h with one pixel. Tensors do not overlap. A dense
// layer sums like a 1x1 convolution of a single pixel, and dense_reference.h holds it to that.

#include <stdint.h>

namespace medyate {
namespace math {

// y = bias + x * w. Overwrites y. Sums start from the bias (null for none) and run over I.
void DenseForward(int inputs, int units, const float* x, const float* w, const float* bias,
                  float* y);

// y += x[channels] * delta. Accumulates into y.
//
// Args:
//   channels: [N], the drawn inputs, each in 0 .. I - 1, none twice.
//   n: N. With 0 nothing is done.
void DenseForwardDelta(int inputs, int units, const float* x, const uint16_t* channels, int n,
                       const float* delta, float* y);

// dx = dy * w transposed. Overwrites dx. Sums run over O.
void DenseInputGradient(int inputs, int units, const float* dy, const float* w, float* dx);

// dx[channels] += dy * delta transposed. Accumulates into the drawn inputs of dx.
void DenseInputGradientDelta(int inputs, int units, const float* dy, const uint16_t* channels,
                             int n, const float* delta, float* dx);

// dw[n][o] += stash[n] * dy[o]. Accumulates into dw.
void DenseWeightGradientSelected(int units, const float* stash, int n, const float* dy, float* dw);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_DENSE_H_
