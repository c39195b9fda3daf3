#include "tflm_ops/draw/schedule.h"

#include "tflm_ops/math/fp_exact.h"

namespace medyate {

float CosinePi(float x) {
  // cos(pi x) = -sin(pi s) for s = x - 1/2: the sine's series, whose next term is below 6e-8.
  const float a = (x - 0.5f) * 3.14159265f;
  const float q = a * a;
  float sum = -2.5052108e-8f;  // -1/11!
  sum = sum * q + 2.7557319e-6f;
  sum = sum * q - 1.9841270e-4f;
  sum = sum * q + 8.3333333e-3f;
  sum = sum * q - 1.6666667e-1f;
  return -(a + a * (q * sum));
}

float LearningRate(const CosineSchedule& s, uint32_t step) {
  if (step < s.warmup_steps) {
    const float share = static_cast<float>(step) / static_cast<float>(s.warmup_steps);
    return s.start + (s.peak - s.start) * share;
  }
  const uint32_t decayed = step - s.warmup_steps;
  if (s.decay_steps == 0) return s.peak;
  if (decayed >= s.decay_steps) return s.peak * s.floor_share;
  const float share = static_cast<float>(decayed) / static_cast<float>(s.decay_steps);
  const float cosine = 0.5f * (1.0f + CosinePi(share));
  return s.peak * ((1.0f - s.floor_share) * cosine + s.floor_share);
}

}  // namespace medyate
