#include "tflm_ops/math/activations.h"

#include <string.h>

#include "tflm_ops/math/bits.h"
#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

// Numbers are looked at as integers: of the same sign these are in the same order.
const int32_t kMinusInfinity = -0x00800000;  // As a signed integer; NaN of that sign is above.
const int32_t kInfinity = 0x7f800000;
const int32_t kSix = 0x40c00000;

MEDYATE_ALWAYS_INLINE int32_t BitsAt(const float* x) {
  int32_t bits;
  memcpy(&bits, x, sizeof(bits));
  return bits;
}

MEDYATE_ALWAYS_INLINE void PutBits(int32_t bits, float* y) { memcpy(y, &bits, sizeof(bits)); }

// Applies f(x, y) -> gate to n elements, eight gates a byte; gates may be null.
template <typename Function>
MEDYATE_ALWAYS_INLINE void ForwardWithGates(const float* x, int n, float* y, uint8_t* gates,
                                            Function f) {
  if (!gates) {
    for (; n >= 4; n -= 4, x += 4, y += 4) {
      f(x + 0, y + 0);
      f(x + 1, y + 1);
      f(x + 2, y + 2);
      f(x + 3, y + 3);
    }
    for (; n > 0; --n) f(x++, y++);
    return;
  }
  for (; n >= 8; n -= 8, x += 8, y += 8) {
    unsigned byte = 0;
    for (int i = 0; i < 8; i += 4) {
      byte |= f(x + i + 0, y + i + 0) ? 1u << i : 0u;
      byte |= f(x + i + 1, y + i + 1) ? 2u << i : 0u;
      byte |= f(x + i + 2, y + i + 2) ? 4u << i : 0u;
      byte |= f(x + i + 3, y + i + 3) ? 8u << i : 0u;
    }
    *gates++ = static_cast<uint8_t>(byte);
  }
  unsigned byte = 0;
  for (int i = 0; i < n; ++i) byte |= f(x + i, y + i) ? 1u << i : 0u;
  if (n > 0) *gates = static_cast<uint8_t>(byte);
}

// max(x, 0): what is positive, and NaN of either sign.
MEDYATE_ALWAYS_INLINE int32_t Rectified(const float* x) {
  const int32_t bits = BitsAt(x);
  return bits > kMinusInfinity ? bits : 0;
}

// dx = dy where the gate is open, 0 elsewhere.
void ShutGates(const uint8_t* gates, const float* dy, int n, float* dx) {
  const auto pass = [&dy, &dx](uint32_t byte, int i) {
    const int32_t open = static_cast<int32_t>(byte << (31 - i)) >> 31;  // All ones, or 0.
    PutBits(BitsAt(dy + i) & open, dx + i);
  };
  for (; n >= 8; n -= 8, dy += 8, dx += 8) {
    const uint32_t byte = *gates++;
    pass(byte, 0);
    pass(byte, 1);
    pass(byte, 2);
    pass(byte, 3);
    pass(byte, 4);
    pass(byte, 5);
    pass(byte, 6);
    pass(byte, 7);
  }
  for (int i = 0; i < n; ++i) pass(*gates, i);
}

}  // namespace

void ReluForward(const float* x, int n, float* y, uint8_t* gates) {
  ForwardWithGates(x, n, y, gates, [](const float* in, float* out) {
    const int32_t bits = Rectified(in);
    PutBits(bits, out);
    return bits != 0;
  });
}

void Relu6Forward(const float* x, int n, float* y, uint8_t* gates) {
  ForwardWithGates(x, n, y, gates, [](const float* in, float* out) {
    const int32_t bits = Rectified(in);
    const bool above = bits >= kSix && bits <= kInfinity;
    PutBits(above ? kSix : bits, out);
    return bits != 0 && !above;
  });
}

void LeakyReluForward(const float* x, int n, float slope, float* y, uint8_t* gates) {
  unsigned byte = 0;
  for (int i = 0; i < n; ++i) {
    const bool open = !(x[i] <= 0.0f);
    y[i] = open ? x[i] : slope * x[i];
    if (open) byte |= 1u << i % 8;
    if (i % 8 < 7 && i + 1 < n) continue;
    if (gates) *gates++ = static_cast<uint8_t>(byte);
    byte = 0;
  }
}

void GateBackward(const uint8_t* gates, const float* dy, int n, float slope, float* dx) {
  if (slope == 0.0f) return ShutGates(gates, dy, n, dx);
  BitReader reader(gates);
  for (int i = 0; i < n; ++i) dx[i] = reader.Get(1) != 0 ? dy[i] : slope * dy[i];
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

void ClippedReluForward(float top, float threshold, float slope, const float* x, int n, float* y) {
  for (int i = 0; i < n; ++i) {
    const float below = slope == 0.0f ? 0.0f : slope * (x[i] - threshold);
    const float clipped = x[i] > top ? top : x[i];
    y[i] = x[i] <= threshold ? below : clipped;
  }
}

void ClippedReluBackward(float top, float threshold, float slope, const float* x, const float* dy,
                         int n, float* dx) {
  for (int i = 0; i < n; ++i) {
    float factor = x[i] < threshold ? slope : 0.0f;
    if (x[i] > threshold && !(x[i] > top)) factor = 1.0f;
    dx[i] = dy[i] * factor;
  }
}

void HardSigmoidForward(const float* x, int n, float* y) {
  for (int i = 0; i < n; ++i) {
    float gate = x[i] + 3.0f;
    if (gate < 0.0f) gate = 0.0f;
    if (gate > 6.0f) gate = 6.0f;
    y[i] = gate * (1.0f / 6.0f);
  }
}

void HardSigmoidBackward(const float* y, const float* dy, int n, float* dx) {
  for (int i = 0; i < n; ++i) {
    dx[i] = dy[i] * (y[i] > 0.0f && y[i] < 1.0f ? 1.0f / 6.0f : 0.0f);
  }
}

}  // namespace math
}  // namespace medyate
