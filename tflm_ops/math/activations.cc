#include "tflm_ops/math/activations.h"

#include "tflm_ops/math/bits.h"
#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

// Applies f(x, &y) -> gate to n elements, eight gates a byte.
template <typename Function>
MEDYATE_ALWAYS_INLINE void ForwardWithGates(const float* x, int n, float* y, uint8_t* gates,
                                            Function f) {
  for (int start = 0; start < n; start += 8) {
    const int count = n - start < 8 ? n - start : 8;
    unsigned byte = 0;
    for (int i = 0; i < count; ++i) {
      if (f(x[start + i], &y[start + i])) byte |= 1u << i;
    }
    if (gates) *gates++ = static_cast<uint8_t>(byte);
  }
}

}  // namespace

void ReluForward(const float* x, int n, float* y, uint8_t* gates) {
  ForwardWithGates(x, n, y, gates, [](float in, float* out) {
    const bool open = !(in <= 0.0f);
    *out = open ? in : 0.0f;
    return open;
  });
}

void Relu6Forward(const float* x, int n, float* y, uint8_t* gates) {
  ForwardWithGates(x, n, y, gates, [](float in, float* out) {
    const bool above = !(in <= 0.0f);
    const bool below = !(in >= 6.0f);
    *out = above ? (below ? in : 6.0f) : 0.0f;
    return above && below;
  });
}

void LeakyReluForward(const float* x, int n, float slope, float* y, uint8_t* gates) {
  ForwardWithGates(x, n, y, gates, [slope](float in, float* out) {
    const bool open = !(in <= 0.0f);
    *out = open ? in : slope * in;
    return open;
  });
}

void GateBackward(const uint8_t* gates, const float* dy, int n, float slope, float* dx) {
  BitReader reader(gates);
  for (int i = 0; i < n; ++i) {
    const float closed = slope == 0.0f ? 0.0f : slope * dy[i];
    dx[i] = reader.Get(1) != 0 ? dy[i] : closed;
  }
}

void HardSwishForward(const float* x, int n, float* y) {
  for (int i = 0; i < n; ++i) {
    float gate = x[i] + 3.0f;
    if (gate < 0.0f) gate = 0.0f;
    if (gate > 6.0f) gate = 6.0f;
    y[i] = x[i] * gate * (1.0f / 6.0f);
  }
}

void HardSwishBackward(const float* x, const float* dy, int n, float* dx) {
  for (int i = 0; i < n; ++i) {
    float slope = (2.0f * x[i] + 3.0f) * (1.0f / 6.0f);
    if (x[i] <= -3.0f) slope = 0.0f;
    if (x[i] >= 3.0f) slope = 1.0f;
    dx[i] = dy[i] * slope;
  }
}

}  // namespace math
}  // namespace medyate
