#include "tflm_ops/math/int8_elementwise.h"

#include "tflm_ops/math/int8_inline.h"

namespace medyate {
namespace math {
namespace {

constexpr int kAddShift = 20;  // Fractional bits of the terms of a sum.

// A term of a sum; a shift of 0 rounds nothing.
MEDYATE_ALWAYS_INLINE int32_t ScaledTerm(int32_t x, const Int8Term& term) {
  if (term.shift > 0) return Scaled(x, term.multiplier, term.shift);
  return HighProduct(ShiftLeft(x, 1), term.multiplier);
}

// Half away from zero.
int32_t RoundedQuotient(int32_t sum, int32_t count) {
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

int8_t MeanOfWindow(const int8_t* x, int row, int column, const Taps& th, const Taps& tw) {
  int32_t sum = 0;
  for (int a = 0; a < th.count; ++a) {
    for (int b = 0; b < tw.count; ++b) sum += x[a * row + b * column];
  }
  return static_cast<int8_t>(RoundedQuotient(sum, th.count * tw.count));
}

int8_t MaximumOfWindow(const int8_t* x, int row, int column, const Taps& th, const Taps& tw) {
  int8_t largest = *x;
  for (int a = 0; a < th.count; ++a) {
    for (int b = 0; b < tw.count; ++b) {
      const int8_t value = x[a * row + b * column];
      if (value > largest) largest = value;
    }
  }
  return largest;
}

template <typename Function>
void ForEachWindow(const PoolShape& s, const int8_t* x, int8_t* y, Function f) {
  const int column = s.channels, row = s.w.in * s.channels;
  for (int oh = 0; oh < s.h.out; ++oh) {
    const Taps th = TapsOfOutput(s.h, oh);
    for (int ow = 0; ow < s.w.out; ++ow) {
      const Taps tw = TapsOfOutput(s.w, ow);
      const int8_t* first = x + th.at * row + tw.at * column;
      for (int c = 0; c < s.channels; ++c) *y++ = f(first + c, row, column, th, tw);
    }
  }
}

}  // namespace

void Int8AddForward(const Int8Term& a_terms, const int8_t* a, const Int8Term& b_terms,
                    const int8_t* b, int n, const Int8Term& sum, int8_t* y) {
  const Int8Term first = a_terms, second = b_terms, total = sum;  // y may alias the arguments.
  for (int i = 0; i < n; ++i) {
    const int32_t x = ScaledTerm(ShiftLeft(a[i] - first.zero, kAddShift), first) +
                      ScaledTerm(ShiftLeft(b[i] - second.zero, kAddShift), second);
    y[i] = Saturated(ScaledTerm(x, total) + total.zero);
  }
}

void Int8AveragePoolForward(const PoolShape& shape, const int8_t* x, int8_t* y) {
  ForEachWindow(shape, x, y, MeanOfWindow);
}

void Int8MaxPoolForward(const PoolShape& shape, const int8_t* x, int8_t* y) {
  ForEachWindow(shape, x, y, MaximumOfWindow);
}

void Quantize(const float* x, int n, float scale, int zero, int8_t* y) {
  // Beyond any int8 whatever the zero point; comparisons send NaN to 0.
  const float limit = 512.0f;
  for (int i = 0; i < n; ++i) {
    const float value = x[i] / scale;
    int32_t whole = 0;
    if (value >= limit) {
      whole = 512;
    } else if (value <= -limit) {
      whole = -512;
    } else if (value == value) {
      whole = static_cast<int32_t>(value);  // Towards zero; what is left is exact.
      const float rest = value - static_cast<float>(whole);
      if (rest >= 0.5f) ++whole;
      if (rest <= -0.5f) --whole;
    }
    y[i] = Saturated(whole + zero);
  }
}

void Dequantize(const int8_t* x, int n, float scale, int zero, float* y) {
  for (int i = 0; i < n; ++i) y[i] = scale * static_cast<float>(x[i] - zero);
}

void StashInt8Channels(const int8_t* x, int pixels, int in_channels, const uint16_t* channels,
                       int n, float scale, int zero, float* stash) {
  for (int k = 0; k < n; ++k) {
    const int8_t* source = x + channels[k];
    for (int p = 0; p < pixels; ++p, source += in_channels) {
      *stash++ = scale * static_cast<float>(*source - zero);
    }
  }
}

}  // namespace math
}  // namespace medyate
