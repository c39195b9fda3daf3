#ifndef TFLM_OPS_MATH_BROADCAST_H_
#define TFLM_OPS_MATH_BROADCAST_H_

// Ops on two tensors element by element in float32, forward and backward, where either may be
// repeated along sides that it lacks.

namespace medyate {
namespace math {

// The output's sides, outermost first, and how far apart an operand's elements lie along each: 0
// where the operand is repeated.
struct BroadcastShape {
  int size[3];
  int a[3];
  int b[3];
};

// y = a + b, a - b, a * b, max(a, b), min(a, b). All overwrite y, which may be the same memory as
// an operand that is not repeated.
void BroadcastAddForward(const BroadcastShape& shape, const float* a, const float* b, float* y);
void SubtractForward(const BroadcastShape& shape, const float* a, const float* b, float* y);
void MultiplyForward(const BroadcastShape& shape, const float* a, const float* b, float* y);
void MaximumForward(const BroadcastShape& shape, const float* a, const float* b, float* y);
void MinimumForward(const BroadcastShape& shape, const float* a, const float* b, float* y);

// y = a where a > 0, a * b elsewhere: PReLU, whose slopes are b. Overwrites y, as above.
void PReluForward(const BroadcastShape& shape, const float* a, const float* b, float* y);

// The gradient of an operand: of a, or of b if `of_b`. It is summed over the sides along which the
// operand is repeated, in the output's order. Overwrites dx, which may be the same memory as dy if
// the operand is not repeated. Where both are as large, a has the maximum and the minimum.
//
// Args:
//   a, b: what forward read; BroadcastAddBackward and SubtractBackward need neither.
void BroadcastAddBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                          const float* dy, float* dx);
void SubtractBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                      const float* dy, float* dx);
void MultiplyBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                      const float* dy, float* dx);
void MaximumBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                     const float* dy, float* dx);
void MinimumBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                     const float* dy, float* dx);

// The slopes are never trained: `of_b` must be false.
void PReluBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                   const float* dy, float* dx);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_BROADCAST_H_
