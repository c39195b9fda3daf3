#ifndef TFLM_OPS_MATH_CONV2D_TRANSPOSE_H_
#define TFLM_OPS_MATH_CONV2D_TRANSPOSE_H_

// Transposed convolution of one sample in float32: forward, and backward right beside it. It reads
// a map like the one that a convolution writes, and writes one like that which it reads. The
// shape is that convolution's:
//
//   H, W    height and width read (shape.h.out)      I  channels read (shape.out_channels)
//   OH, OW  height and width written (shape.h.in)    O  channels written (shape.in_channels)
//   KH, KW  kernel height and width                  N  drawn channels of those read, 0 to I
//
//   x      [H][W][I]        input             dx  its gradient
//   y      [OH][OW][O]      output            dy  its gradient
//   w      [I][KH][KW][O]   weights, of which those of the drawn channels may lie elsewhere
//   dw     [N][KH][KW][O]   the loss's gradient with respect to the drawn channels' weights
//   stash  [N][H][W]        the drawn channels of x, kept from the forward pass
//
// As in conv2d.h every sum has one fixed order, whatever is drawn.

#include "tflm_ops/math/shape.h"
#include "tflm_ops/math/weights.h"

namespace medyate {
namespace math {

// y[oh][ow] = bias + sum of x[h][w] * w[kh][kw] over all that meet there. Overwrites y.
//
// Sums start from the bias and run over blocks of kBlockChannels of I, and in each over KH, KW, I
// in this order, I fastest.
//
// Args:
//   bias: [O], or null for none.
void Conv2dTransposeForward(const ConvShape& shape, const float* x, const Weights& w,
                            const float* bias, float* y);

// dx = dy * w. Overwrites dx. Sums run over KH, KW, O in this order, O fastest.
void Conv2dTransposeInputGradient(const ConvShape& shape, const float* dy, const Weights& w,
                                  float* dx);

// dw += stash * dy. Accumulates into dw. Sums run over H, W; see Conv2dWeightGradientSelected.
void Conv2dTransposeWeightGradientSelected(const ConvShape& shape, const float* stash, int n,
                                           const float* dy, float* dw);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_CONV2D_TRANSPOSE_H_
