#ifndef TFLM_OPS_MATH_CONV2D_H_
#define TFLM_OPS_MATH_CONV2D_H_

// Convolution of one sample in float32: forward, and backward right beside it.
//
//   H, W    input height and width        OH, OW  output height and width
//   KH, KW  kernel height and width       I, O    input and output channels
//   N       drawn input channels, 0 to I  c_n     the n-th of them
//
//   x      [H][W][I]        input             dx  its gradient
//   y      [OH][OW][O]      output            dy  its gradient
//   w      [I][KH][KW][O]   weights, of which those of the drawn channels may lie elsewhere
//   dw     [N][KH][KW][O]   the loss's gradient with respect to the drawn channels' weights
//   stash  [N][H][W]        the drawn channels of x, kept from the forward pass
//
// A training step calls Forward and StashChannels; then InputGradient and WeightGradientSelected.
// Tensors have at most 2^31 - 1 elements and do not overlap. Every sum has one fixed order,
// whatever is drawn, so results are the same bit for bit on every host and board, and equal to
// those of conv2d_reference.h.

#include <stdint.h>

#include "tflm_ops/math/shape.h"
#include "tflm_ops/math/weights.h"

namespace medyate {
namespace math {

// y = bias + x * w. Overwrites y.
//
// Sums start from the bias and run over blocks of kBlockChannels of I, and in each over KH, KW, I
// in this order, I fastest.
//
// Args:
//   bias: [O], or null for none.
void Conv2dForward(const ConvShape& shape, const float* x, const Weights& w, const float* bias,
                   float* y);

// The same of `n` output channels: w [I][KH][KW][n], bias [n]; y begins with the first of them.
void Conv2dForwardPart(const ConvShape& shape, int n, const float* x, const Weights& w,
                       const float* bias, float* y);

// dx = dy * w transposed. Overwrites all of dx, with 0 where no output read the input.
//
// Sums run over KH, KW, O in this order, O fastest.
void Conv2dInputGradient(const ConvShape& shape, const float* dy, const Weights& w, float* dx);

// The same of `n` input channels: w [n][KH][KW][O]; dx begins with the first of them.
void Conv2dInputGradientPart(const ConvShape& shape, int n, const float* dy, const Weights& w,
                             float* dx);

// dw += stash * dy. Accumulates into dw.
//
// Each sum runs over OH, OW in this order from 0 and is then added to dw. A run of dw depends on
// its own stash only, so a caller short of memory may draw the gradients of a few
// channels at a time (multiples of 4 are fastest).
void Conv2dWeightGradientSelected(const ConvShape& shape, const float* stash, int n,
                                  const float* dy, float* dw);

// dbias[o] += sum over pixels of dy[pixel][o]. Accumulates into dbias.
//
// Args:
//   dy: [pixels][out_channels].
//   pixels: OH * OW; 1 for a dense layer.
void BiasGradient(const float* dy, int pixels, int out_channels, float* dbias);

// stash[n][pixel] = x[pixel][channels[n]]. Overwrites stash.
//
// Args:
//   x: [pixels][in_channels].
//   pixels: H * W; 1 for a dense layer.
void StashChannels(const float* x, int pixels, int in_channels, const uint16_t* channels, int n,
                   float* stash);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_CONV2D_H_
