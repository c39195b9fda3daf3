#include "tflm_ops/math/smooth.h"

#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace math {
namespace {

// exp(x) - 1, within 8 units in the last place: near 0 by its Taylor series, 2e-8 short.
float ExpMinus1(float x) {
  if (!(x < 0.35f && x > -0.35f)) return Exp(x) - 1.0f;
  float series = 1.0f / 5040.0f;
  series = series * x + 1.0f / 720.0f;
  series = series * x + 1.0f / 120.0f;
  series = series * x + 1.0f / 24.0f;
  series = series * x + 1.0f / 6.0f;
  series = series * x + 0.5f;
  return x + x * x * series;
}

// log(1 + u) for u >= 0: what 1 + u loses of u is put back in proportion.
float Log1Plus(float u) {
  const float sum = 1.0f + u;
  return sum == 1.0f ? u : Log(sum) * (u / (sum - 1.0f));
}

float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

// By exp(-2 |x|) - 1, which is exact near 0 and -1 far from it.
float Tanh(float x) {
  const float t = ExpMinus1(x < 0.0f ? 2.0f * x : -2.0f * x);
  const float y = t / (2.0f + t);
  return x < 0.0f ? y : -y;
}

// The normal distribution at x, and its density. With z = |x| / sqrt(2), its tail is half of
// exp(-z^2) R(z), and R(z) = t times a polynomial in t = 1 / (1 + z / 2), fitted for z up to 10.5
// to 4e-8 of its value.
float Normal(float x, float* density) {
  const float z = (x < 0.0f ? -x : x) * 0.70710678f;
  const float power = Exp(-z * z);
  *density = 0.39894228f * power;
  const float t = 1.0f / (1.0f + 0.5f * z);
  float r = -0.0591934013f;
  r = r * t + 0.285183159f;
  r = r * t - 0.488461542f;
  r = r * t + 0.279513318f;
  r = r * t - 0.0276239058f;
  r = r * t + 0.20311011f;
  r = r * t + 0.24299657f;
  r = r * t + 0.282390073f;
  r = r * t + 0.282085574f;
  const float tail = 0.5f * power * (r * t);
  return x < 0.0f ? tail : 1.0f - tail;
}

const float kRoot2OverPi = 0.79788456f;
const float kCubic = 0.044715f;

// 2 u, so that (1 + tanh u) / 2 is its sigmoid.
float GeluArgument(float x) { return 2.0f * kRoot2OverPi * (x + kCubic * (x * x * x)); }

template <typename Function>
MEDYATE_ALWAYS_INLINE void Map(const float* x, int n, float* y, Function f) {
  for (int i = 0; i < n; ++i) y[i] = f(x[i]);
}

template <typename Function>
MEDYATE_ALWAYS_INLINE void MapBack(const float* kept, const float* dy, int n, float* dx,
                                   Function slope) {
  for (int i = 0; i < n; ++i) dx[i] = dy[i] * slope(kept[i]);
}

}  // namespace

void SigmoidForward(const float* x, int n, float* y) { Map(x, n, y, Sigmoid); }

void SigmoidBackward(const float* y, const float* dy, int n, float* dx) {
  MapBack(y, dy, n, dx, [](float v) { return v * (1.0f - v); });
}

void TanhForward(const float* x, int n, float* y) { Map(x, n, y, Tanh); }

void TanhBackward(const float* y, const float* dy, int n, float* dx) {
  MapBack(y, dy, n, dx, [](float v) { return 1.0f - v * v; });
}

void ExponentialForward(const float* x, int n, float* y) { Map(x, n, y, Exp); }

void ExponentialBackward(const float* y, const float* dy, int n, float* dx) {
  MapBack(y, dy, n, dx, [](float v) { return v; });
}

void SoftplusForward(const float* x, int n, float* y) {
  Map(x, n, y, [](float v) {
    const float tail = Log1Plus(Exp(v < 0.0f ? v : -v));
    return v > 0.0f ? v + tail : tail;
  });
}

void SoftplusBackward(const float* y, const float* dy, int n, float* dx) {
  MapBack(y, dy, n, dx, [](float v) { return -ExpMinus1(-v); });
}

void SoftsignForward(const float* x, int n, float* y) {
  Map(x, n, y, [](float v) { return v / (1.0f + (v < 0.0f ? -v : v)); });
}

void SoftsignBackward(const float* y, const float* dy, int n, float* dx) {
  MapBack(y, dy, n, dx, [](float v) {
    const float rest = 1.0f - (v < 0.0f ? -v : v);
    return rest * rest;
  });
}

void EluForward(float alpha, float scale, const float* x, int n, float* y) {
  const float below = scale * alpha;
  Map(x, n, y, [=](float v) { return v > 0.0f ? scale * v : below * ExpMinus1(v); });
}

void EluBackward(float alpha, float scale, const float* y, const float* dy, int n, float* dx) {
  const float below = scale * alpha;
  MapBack(y, dy, n, dx, [=](float v) { return v > 0.0f ? scale : v + below; });
}

void SiluForward(const float* x, int n, float* y) {
  Map(x, n, y, [](float v) { return v * Sigmoid(v); });
}

void SiluBackward(const float* x, const float* dy, int n, float* dx) {
  MapBack(x, dy, n, dx, [](float v) {
    const float s = Sigmoid(v);
    return s * (1.0f + v * (1.0f - s));
  });
}

void GeluForward(const float* x, int n, float* y) {
  Map(x, n, y, [](float v) {
    float density;
    return v * Normal(v, &density);
  });
}

void GeluBackward(const float* x, const float* dy, int n, float* dx) {
  MapBack(x, dy, n, dx, [](float v) {
    float density;
    const float below = Normal(v, &density);
    return below + v * density;
  });
}

void GeluTanhForward(const float* x, int n, float* y) {
  Map(x, n, y, [](float v) { return v * Sigmoid(GeluArgument(v)); });
}

void GeluTanhBackward(const float* x, const float* dy, int n, float* dx) {
  MapBack(x, dy, n, dx, [](float v) {
    // With s = 1 / (1 + e), the sigmoid of |2 u|: s (1 - s) = e s^2 without a difference.
    const float argument = GeluArgument(v);
    const float e = Exp(argument < 0.0f ? argument : -argument);
    const float s = 1.0f / (1.0f + e);
    const float slope = 2.0f * kRoot2OverPi * (1.0f + 3.0f * kCubic * (v * v));
    return (v < 0.0f ? e * s : s) + v * (e * s * s) * slope;
  });
}

void SoftmaxForward(int size, int inner, const float* x, int n, float* y) {
  for (int row = 0; row < n; row += size * inner) {
    for (int j = row; j < row + inner; ++j) {
      const int end = j + size * inner;
      float largest = x[j];
      for (int i = j; i < end; i += inner) largest = x[i] > largest ? x[i] : largest;
      float sum = 0.0f;
      for (int i = j; i < end; i += inner) sum += y[i] = Exp(x[i] - largest);
      for (int i = j; i < end; i += inner) y[i] /= sum;
    }
  }
}

void SoftmaxBackward(int size, int inner, const float* y, const float* dy, int n, float* dx) {
  for (int row = 0; row < n; row += size * inner) {
    for (int j = row; j < row + inner; ++j) {
      const int end = j + size * inner;
      float sum = 0.0f;
      for (int i = j; i < end; i += inner) sum += y[i] * dy[i];
      for (int i = j; i < end; i += inner) dx[i] = y[i] * (dy[i] - sum);
    }
  }
}

}  // namespace math
}  // namespace medyate
