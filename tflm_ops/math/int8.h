#ifndef TFLM_OPS_MATH_INT8_H_
#define TFLM_OPS_MATH_INT8_H_

// Layers on int8 values, bit for bit as TensorFlow Lite's reference kernels: for what is never
// trained. real = scale * (stored - zero point); sums are exact in 32 bits, and each output is
// brought back to 8 bits by a multiplier and a shift of its own channel.
//
//   x  [H][W][I]          y     [OH][OW][O]
//   w  [O][KH][KW][I]     bias  [O] at scale input * weight
//   w  [KH][KW][O]        of a depthwise convolution
//
// Positions outside the input read its zero point, a real 0. Activations need nothing of their own:
// an output whose lowest value is a real 0 has been through a ReLU. No sum may reach 2^30:
// `SumLimit` says how large the products' part can be.

#include <stdint.h>

namespace medyate {
namespace math {

// How sums become outputs, per output channel.
struct Requantization {
  const int32_t* bias;        // [O].
  const int32_t* multiplier;  // [O], Q31, not negative.
  const int32_t* shift;       // [O], to the right after that, 1 to kHighestShift.
  int zero;                   // The output's zero point.
};

constexpr int kHighestShift = 31;

// The largest magnitude of a sum of `products` products.
inline int64_t SumLimit(int64_t products) { return products * 255 * 128; }

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_INT8_H_
