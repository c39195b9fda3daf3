#include "tflm_ops/math/scalar.h"

#include <stdint.h>
#include <string.h>

#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

const uint32_t kInfinity = 0x7F800000u;
const uint32_t kNan = 0x7FC00000u;

// ln 2 in two parts: the first has 9 significant bits, so that its product with an exponent is
// exact; the second is the rest.
const float kLn2High = 0.693359375f;
const float kLn2Low = -2.12194440e-4f;

uint32_t BitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}

float FromBits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

// 2 to the power n, for n in -126 .. 127.
float PowerOf2(int n) { return FromBits(static_cast<uint32_t>(n + 127) << 23); }

// Splits a positive, finite x into a mantissa in [2^23, 2^24) and an exponent:
// x = mantissa * 2^(exponent - 23).
uint32_t Split(float x, int* exponent) {
  const uint32_t bits = BitsOf(x);
  uint32_t mantissa = bits & 0x007FFFFFu;
  *exponent = static_cast<int>(bits >> 23) - 127;
  if (*exponent > -127) return mantissa | 0x00800000u;
  *exponent = -126;  // Denormal.
  while (mantissa < 0x00800000u) {
    mantissa <<= 1;
    --*exponent;
  }
  return mantissa;
}

}  // namespace

// x = n ln 2 + r with |r| <= ln 2 / 2; exp(x) = 2^n exp(r), the latter by its Taylor series, which
// is 5e-9 short after the 7th power.
float Exp(float x) {
  if (x != x) return x;
  if (x > 88.73f) return FromBits(kInfinity);
  if (x < -104.0f) return 0.0f;
  const float scaled = x * 1.44269504f;
  const int n = static_cast<int>(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
  const float whole = static_cast<float>(n);
  float r = x - whole * kLn2High;
  r -= whole * kLn2Low;
  float series = 1.0f / 5040.0f;
  series = series * r + 1.0f / 720.0f;
  series = series * r + 1.0f / 120.0f;
  series = series * r + 1.0f / 24.0f;
  series = series * r + 1.0f / 6.0f;
  series = series * r + 0.5f;
  const float power = (series * (r * r) + r) + 1.0f;
  // In two steps: 2^n itself may be out of range where the result is not.
  const int half = n / 2;
  return power * PowerOf2(half) * PowerOf2(n - half);
}

// x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); with s = f / (2 + f),
// log(1 + f) = 2 s + s R and R = 2/3 s^2 + 2/5 s^4 + ...; 2 s = f - s f keeps f exact.
float Log(float x) {
  if (x != x) return x;
  if (x < 0.0f) return FromBits(kNan);
  if (x == 0.0f) return FromBits(kInfinity | 0x80000000u);
  if (BitsOf(x) == kInfinity) return x;
  int e;
  const uint32_t mantissa = Split(x, &e);
  const uint32_t kSqrt2 = 0x00B504F3u;  // sqrt(2) * 2^23.
  if (mantissa > kSqrt2) ++e;
  const float m = static_cast<float>(mantissa) * PowerOf2(mantissa > kSqrt2 ? -24 : -23);
  const float f = m - 1.0f;
  const float s = f / (2.0f + f);
  const float z = s * s;
  float series = 2.0f / 11.0f;
  series = series * z + 2.0f / 9.0f;
  series = series * z + 2.0f / 7.0f;
  series = series * z + 2.0f / 5.0f;
  series = series * z + 2.0f / 3.0f;
  const float whole = static_cast<float>(e);
  const float rest = s * (f - series * z) - whole * kLn2Low;
  return whole * kLn2High + (f - rest);
}

float Sqrt(float x) {
  if (x != x || x == 0.0f || BitsOf(x) == kInfinity) return x;
  if (x < 0.0f) return FromBits(kNan);
  int e;
  uint64_t square = static_cast<uint64_t>(Split(x, &e)) << 25;
  if (e & 1) {
    square <<= 1;
    --e;
  }
  // The root's 24 bits and one more to round by; a root that ends halfway cannot occur.
  uint64_t root = 0;
  for (uint64_t bit = 1u << 24; bit != 0; bit >>= 1) {
    const uint64_t trial = root | bit;
    if (trial * trial <= square) root = trial;
  }
  const uint32_t rounded = static_cast<uint32_t>((root + 1) >> 1);
  return FromBits((static_cast<uint32_t>(e / 2 + 127) << 23) + (rounded - 0x00800000u));
}

bool IsFinite(float x) { return (BitsOf(x) & kInfinity) != kInfinity; }

bool AreFinite(const float* x, int n) {
  for (; n > 0; --n) {
    if ((BitsOf(*x++) & kInfinity) == kInfinity) return false;
  }
  return true;
}

}  // namespace math
}  // namespace medyate
