#include "tflm_ops/math/sgd.h"

#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace math {
namespace {

void Decay(float share, int n, float* weights) {
  for (int i = 0; i < n; ++i) weights[i] -= weights[i] * share;
}

void PlainStep(float scale, float rate, const float* gradient, int n, float* weights) {
  for (; n >= 4; n -= 4, gradient += 4, weights += 4) {
    const float step0 = gradient[0] * scale * rate;
    const float step1 = gradient[1] * scale * rate;
    const float step2 = gradient[2] * scale * rate;
    const float step3 = gradient[3] * scale * rate;
    weights[0] -= step0;
    weights[1] -= step1;
    weights[2] -= step2;
    weights[3] -= step3;
  }
  for (int i = 0; i < n; ++i) weights[i] -= gradient[i] * scale * rate;
}

}  // namespace

void SgdStep(const SgdOptions& options, const float* gradient, int n, float* velocity,
             float* weights) {
  const float rate = options.learning_rate;
  const float scale = options.gradient_scale;
  if (options.weight_decay != 0.0f) Decay(options.weight_decay * rate, n, weights);
  if (!velocity) {
    PlainStep(scale, rate, gradient, n, weights);
    return;
  }
  for (int i = 0; i < n; ++i) {
    const float step = gradient[i] * scale * rate;
    velocity[i] = velocity[i] * options.momentum - step;
    weights[i] += options.nesterov ? velocity[i] * options.momentum - step : velocity[i];
  }
}

void ClipByValue(float limit, int n, float* gradient) {
  for (int i = 0; i < n; ++i) {
    if (gradient[i] > limit) gradient[i] = limit;
    if (gradient[i] < -limit) gradient[i] = -limit;
  }
}

float SumOfSquares(const float* x, int n) {
  float sum0 = 0.0f, sum1 = 0.0f, sum2 = 0.0f, sum3 = 0.0f;
  int i = 0;
  for (; i + 4 <= n; i += 4) {
    sum0 += x[i] * x[i];
    sum1 += x[i + 1] * x[i + 1];
    sum2 += x[i + 2] * x[i + 2];
    sum3 += x[i + 3] * x[i + 3];
  }
  for (; i < n; ++i) sum0 += x[i] * x[i];
  return (sum0 + sum1) + (sum2 + sum3);
}

float ClipScale(float sum_of_squares, float limit) {
  if (!IsFinite(sum_of_squares)) return sum_of_squares - sum_of_squares;
  const float norm = Sqrt(sum_of_squares);
  return norm > limit ? limit / norm : 1.0f;
}

}  // namespace math
}  // namespace medyate
