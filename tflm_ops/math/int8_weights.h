#ifndef TFLM_OPS_MATH_INT8_WEIGHTS_H_
#define TFLM_OPS_MATH_INT8_WEIGHTS_H_

// Layers on float values whose weights, never trained, lie in 8 bits, with a scale for each output
// channel: w[o] = scale[o] * q[o].
//
// Some channels at a time the weights are made floats, and the float layer takes them: bit for bit
// what it computes with all of them. Letters as in conv2d.h; a depthwise layer has O = I * M.

#include <stdint.h>

#include "tflm_ops/math/shape.h"

namespace medyate {
namespace math {

// Weights as the float layer has them, [I][KH][KW][O] or [I][KH][KW][M].
struct Int8Weights {
  const int8_t* q;
  const float* scale;  // [O].
};

// Memory for the weights of some channels; multiples of 4 channels are fastest.
struct Int8Block {
  float* data;
  int size;  // Floats: those of one channel or more.
};

// Weights of an output channel of a convolution; of an input channel of any layer.
inline int WeightsOfOutput(const ConvShape& s) { return s.in_channels * s.h.kernel * s.w.kernel; }
inline int WeightsOfInput(const ConvShape& s, int fan_out) {
  return s.h.kernel * s.w.kernel * fan_out;
}

// As Conv2dForward. The block holds WeightsOfOutput() floats or more.
void Int8WeightsConv2dForward(const ConvShape& shape, const float* x, const Int8Weights& w,
                              const float* bias, const Int8Block& block, float* y);

// As Conv2dInputGradient. The block holds WeightsOfInput(O) floats or more.
void Int8WeightsConv2dInputGradient(const ConvShape& shape, const float* dy, const Int8Weights& w,
                                    const Int8Block& block, float* dx);

// As DepthwiseConv2dForward and its gradient. The block holds WeightsOfInput(M) floats or more.
//
// With M = 1, y may be x, and dx may be dy, where there is room for the larger of both. Some
// channels at a time are copied into the block, which holds WeightsOfInput(1) and the positions of
// x, or of dy, or more.
void Int8WeightsDepthwiseConv2dForward(const ConvShape& shape, const float* x, const Int8Weights& w,
                                       const float* bias, const Int8Block& block, float* y);
void Int8WeightsDepthwiseConv2dInputGradient(const ConvShape& shape, const float* dy,
                                             const Int8Weights& w, const Int8Block& block,
                                             float* dx);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_INT8_WEIGHTS_H_
