#include "tflm_ops/math/adam.h"

#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace math {
namespace {

// Square root of x: the bits of Sqrt, for IEEE 754 rounds a processor's root correctly, too. In its
// own instruction, since a compiler's sqrtf asks the C library about negative numbers.
MEDYATE_ALWAYS_INLINE float Root(float x) {
#if defined(__GNUC__) && defined(__arm__) && defined(__ARM_FP)
  float root;
  __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
  return root;
#elif defined(__GNUC__) && defined(__SSE__)
  float root;
  __asm__("sqrtss %1, %0" : "=x"(root) : "x"(x));
  return root;
#else
  return Sqrt(x);
#endif
}

}  // namespace

float NextCorrection(float correction, float rate) {
  return correction + (1.0f - correction) * rate;
}

float AdamStepSize(float learning_rate, float first, float second) {
  return learning_rate * Root(second) / first;
}

void AdamStep(const AdamOptions& options, const float* gradient, int n, float* first, float* second,
              float* weights) {
  const AdamOptions o = options;
  for (int i = 0; i < n; ++i) {
    const float g = gradient[i] * o.gradient_scale;
    const float m = first[i] + (g - first[i]) * o.first_rate;
    const float v = second[i] + (g * g - second[i]) * o.second_rate;
    first[i] = m;
    second[i] = v;
    const float kept = weights[i] - weights[i] * o.decay;
    weights[i] = kept - m * o.step_size / (Root(v) + o.epsilon);
  }
}

}  // namespace math
}  // namespace medyate
