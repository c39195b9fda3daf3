#include "tflm_ops/math/normalize.h"

#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace math {
namespace {

struct Moments {
  float mean;
  float inverse;  // 1 / sqrt(variance + epsilon).
};

// Calls each(index in x, index in gamma) for every number of a set, in order.
template <typename Each>
MEDYATE_ALWAYS_INLINE void ForSet(const NormShape& s, int row, int group, Each each) {
  const int gamma = group * s.width;
  int at = row * s.positions * s.groups * s.width + gamma;
  for (int p = 0; p < s.positions; ++p, at += s.groups * s.width) {
    for (int i = 0; i < s.width; ++i) each(at + i, gamma + i);
  }
}

Moments MomentsOf(const NormShape& s, const float* x, int row, int group) {
  const float n = static_cast<float>(s.positions * s.width);
  float mean = 0.0f;
  if (s.centered) {
    ForSet(s, row, group, [&](int at, int) { mean += x[at]; });
    mean /= n;
  }
  float squares = 0.0f;
  ForSet(s, row, group, [&](int at, int) {
    const float from_mean = x[at] - mean;
    squares += from_mean * from_mean;
  });
  return {mean, 1.0f / Sqrt(squares / n + s.epsilon)};
}

}  // namespace

void NormalizeForward(const NormShape& s, const float* x, const float* gamma, const float* beta,
                      float* y) {
  for (int row = 0; row < s.rows; ++row) {
    for (int group = 0; group < s.groups; ++group) {
      const Moments m = MomentsOf(s, x, row, group);
      ForSet(s, row, group, [&](int at, int channel) {
        float value = (x[at] - m.mean) * m.inverse;
        if (gamma) value *= gamma[channel];
        if (beta) value += beta[channel];
        y[at] = value;
      });
    }
  }
}

// With g = gamma * dy and h = (x - mean) * inverse: dx = inverse * (g - mean(g) - h * mean(g * h)),
// without mean(g) if the mean counts as 0.
void NormalizeBackward(const NormShape& s, const float* x, const float* gamma, const float* dy,
                       float* dx) {
  const float n = static_cast<float>(s.positions * s.width);
  for (int row = 0; row < s.rows; ++row) {
    for (int group = 0; group < s.groups; ++group) {
      const Moments m = MomentsOf(s, x, row, group);
      float sum = 0.0f;
      float product = 0.0f;
      ForSet(s, row, group, [&](int at, int channel) {
        const float g = gamma ? gamma[channel] * dy[at] : dy[at];
        sum += g;
        product += g * ((x[at] - m.mean) * m.inverse);
      });
      const float mean = s.centered ? sum / n : 0.0f;
      const float along = product / n;
      ForSet(s, row, group, [&](int at, int channel) {
        const float g = gamma ? gamma[channel] * dy[at] : dy[at];
        dx[at] = m.inverse * ((g - mean) - ((x[at] - m.mean) * m.inverse) * along);
      });
    }
  }
}

}  // namespace math
}  // namespace medyate
