#ifndef TFLM_OPS_MATH_ACTIVATIONS_H_
#define TFLM_OPS_MATH_ACTIVATIONS_H_

// Activation functions on n elements in float32: forward, and backward right beside it.
//
// ReLU, ReLU6 and LeakyReLU keep one bit an element, their gate: whether the gradient passes.
// Gates are packed as bits.h says into PackedBytes(n, 1) bytes. Input and output may be the same
// memory, going forward and going backward. Not-a-number stays not-a-number, its gate is open.

#include <stdint.h>

namespace medyate {
namespace math {

// y = max(x, 0); open where x > 0. Overwrites y and gates; gates may be null (inference).
void ReluForward(const float* x, int n, float* y, uint8_t* gates);

// y = min(max(x, 0), 6); open where 0 < x < 6. Overwrites y and gates; gates may be null.
void Relu6Forward(const float* x, int n, float* y, uint8_t* gates);

// y = x where x > 0, slope * x elsewhere; open where x > 0. Overwrites y and gates; gates may
// be null.
void LeakyReluForward(const float* x, int n, float slope, float* y, uint8_t* gates);

// dx = dy where the gate is open, slope * dy elsewhere. Overwrites dx.
//
// Args:
//   slope: LeakyReLU's; 0 for ReLU and ReLU6: then closed gates give 0 whatever dy is.
void GateBackward(const uint8_t* gates, const float* dy, int n, float slope, float* dx);

// y = x * min(max(x + 3, 0), 6) / 6. Overwrites y.
void HardSwishForward(const float* x, int n, float* y);

// dx = dy * (0 below -3, 1 above 3, (2 x + 3) / 6 between). Overwrites dx.
//
// Args:
//   x: what HardSwishForward read (kept, or computed again).
void HardSwishBackward(const float* x, const float* dy, int n, float* dx);

// y = min(x, top) where x > threshold, slope * (x - threshold) elsewhere; the threshold is not
// negative. Overwrites y.
void ClippedReluForward(float top, float threshold, float slope, const float* x, int n, float* y);

// dx = dy * (0 above top, 1 from the threshold to it, slope below it; 0 at it). Overwrites dx.
void ClippedReluBackward(float top, float threshold, float slope, const float* x, const float* dy,
                         int n, float* dx);

// y = min(max(x + 3, 0), 6) / 6. Overwrites y.
void HardSigmoidForward(const float* x, int n, float* y);

// dx = dy / 6 where 0 < y < 1, 0 elsewhere. Overwrites dx.
//
// Args:
//   y: what HardSigmoidForward gave.
void HardSigmoidBackward(const float* y, const float* dy, int n, float* dx);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_ACTIVATIONS_H_
