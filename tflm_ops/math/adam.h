#ifndef TFLM_OPS_MATH_ADAM_H_
#define TFLM_OPS_MATH_ADAM_H_

// Adam on runs of weights, in float32: the arithmetic of keras.optimizers.Adam, and of AdamW.

namespace medyate {
namespace math {

struct AdamOptions {
  float step_size;       // Of AdamStepSize.
  float decay;           // Share of a weight that this step takes off; 0 for none.
  float first_rate;      // 1 - beta_1, above 0 and at most 1.
  float second_rate;     // 1 - beta_2, above 0 and at most 1.
  float epsilon;         // At least 0.
  float gradient_scale;  // What gradients are multiplied by first: 1 / batch, or ClipScale.
};

// 1 - beta^(t + 1), from 1 - beta^t: 0 at the start. No power is taken, and what is small is not
// the difference of two numbers that are nearly alike.
//
// Args:
//   rate: 1 - beta.
float NextCorrection(float correction, float rate);

// The step size of an update: learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t).
//
// Args:
//   first, second: 1 - beta_1^t and 1 - beta_2^t, above 0.
float AdamStepSize(float learning_rate, float first, float second);

// One step on n weights. Accumulates into weights and moments.
//
//   w := w - w * decay
//   m := m + (g - m) * first_rate                g = gradient * gradient_scale
//   v := v + (g * g - v) * second_rate
//   w := w - m * step_size / (sqrt(v) + epsilon)
//
// Args:
//   gradient: [n], read only.
//   first, second: m and v, [n], 0 at the start.
//   weights: [n].
void AdamStep(const AdamOptions& options, const float* gradient, int n, float* first, float* second,
              float* weights);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_ADAM_H_
