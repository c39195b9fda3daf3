#ifndef TFLM_OPS_MATH_DEPTHWISE_CONV2D_H_
#define TFLM_OPS_MATH_DEPTHWISE_CONV2D_H_

// Depthwise convolution of one sample in float32: forward, and backward right beside it.
//
// Letters as in conv2d.h, and M, the channel multiplier: O = I * M, and output channel i * M + m
// depends on input channel i alone.
//
//   x      [H][W][I]        input             dx  its gradient
//   y      [OH][OW][I*M]    output            dy  its gradient
//   w      [I][KH][KW][M]   weights, of which those of the drawn channels may lie elsewhere
//   dw     [N][KH][KW][M]   the loss's gradient with respect to the drawn channels' weights
//   stash  [N][H][W]        the drawn channels of x: StashChannels of conv2d.h makes it
//
// The bias gradient is BiasGradient of conv2d.h. Tensors have at most 2^31 - 1 elements and
// do not overlap. Results equal those of depthwise_conv2d_reference.h bit for bit.
//
// `shape.out_channels` must be a multiple of `shape.in_channels`. M = 1 is the fast case.

#include <stdint.h>

#include "tflm_ops/math/shape.h"
#include "tflm_ops/math/weights.h"

namespace medyate {
namespace math {

// y = bias + x * w. Overwrites y.
//
// Sums start from the bias and run over KH, KW in this order.
//
// Args:
//   bias: [I*M], or null for none.
void DepthwiseConv2dForward(const ConvShape& shape, const float* x, const Weights& w,
                            const float* bias, float* y);

// The same of `n` channels: w [n][KH][KW][M], bias [n*M]; x and y begin with the first of them.
void DepthwiseConv2dForwardPart(const ConvShape& shape, int n, const float* x, const Weights& w,
                                const float* bias, float* y);

// The same (M = 1), and x has these channels alone, [H][W][n].
void DepthwiseConv2dForwardPlanes(const ConvShape& shape, int n, const float* x, const Weights& w,
                                  const float* bias, float* y);

// dx = dy * w transposed. Overwrites all of dx, with 0 where no output read the input.
//
// Sums run over KH, KW, M in this order.
void DepthwiseConv2dInputGradient(const ConvShape& shape, const float* dy, const Weights& w,
                                  float* dx);

// The same of `n` channels: w [n][KH][KW][M]; dy and dx begin with the first of them.
void DepthwiseConv2dInputGradientPart(const ConvShape& shape, int n, const float* dy,
                                      const Weights& w, float* dx);

// The same (M = 1), and dy has these channels alone, [OH][OW][n].
void DepthwiseConv2dInputGradientPlanes(const ConvShape& shape, int n, const float* dy,
                                        const Weights& w, float* dx);

// dw += stash * dy of the drawn channels. Accumulates into dw.
//
// Each sum runs over OH, OW in this order from 0 and is then added to dw.
void DepthwiseConv2dWeightGradientSelected(const ConvShape& shape, const float* stash,
                                           const uint16_t* channels, int n, const float* dy,
                                           float* dw);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_DEPTHWISE_CONV2D_H_
