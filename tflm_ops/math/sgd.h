#ifndef TFLM_OPS_MATH_SGD_H_
#define TFLM_OPS_MATH_SGD_H_

// Stochastic gradient descent on runs of weights, in float32, and the norms and clipping around it.
// The arithmetic is that of keras.optimizers.SGD.

namespace medyate {
namespace math {

struct SgdOptions {
  float learning_rate;   // At least 0.
  float momentum;        // 0 .. 1; 0 for none.
  float weight_decay;    // Share of a weight that a step at learning rate 1 takes off; 0 for none.
  bool nesterov;         // Nesterov's momentum.
  float gradient_scale;  // What gradients are multiplied by first: 1 / batch, or ClipScale.
};

// One step on n weights: weights += update(gradient). Accumulates into weights and velocity.
//
//   w := w - w * weight_decay * learning_rate
//   v := v * momentum - g * learning_rate              g = gradient * gradient_scale
//   w := w + v, with Nesterov w + v * momentum - g * learning_rate
//
// Args:
//   gradient: [n], read only.
//   velocity: [n], 0 at the start; null without momentum.
//   weights: [n].
void SgdStep(const SgdOptions& options, const float* gradient, int n, float* velocity,
             float* weights);

// Limits each of n elements to -limit .. limit in place. NaN stays NaN.
void ClipByValue(float limit, int n, float* gradient);

// Sum of the squares of n elements, taken in four interleaved sums that are added at the end.
//
// The norm of a channel's gradient is Sqrt of it (scalar.h); the sums of several runs add up.
float SumOfSquares(const float* x, int n);

// What to multiply gradients by so that their norm is at most `limit`: 1, or limit / norm.
//
// Args:
//   sum_of_squares: of all gradients together; infinity and NaN give NaN.
//   limit: above 0.
float ClipScale(float sum_of_squares, float limit);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_SGD_H_
