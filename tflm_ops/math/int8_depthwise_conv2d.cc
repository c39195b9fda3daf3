#include "tflm_ops/math/int8_depthwise_conv2d.h"

#include "tflm_ops/math/int8_inline.h"

namespace medyate {
namespace math {
namespace {

// What one output row reads: where its taps begin, and how they lie.
struct Rows {
  const int8_t* x;
  const int8_t* w;
  int count;         // Of the kernel's rows.
  int x_row, w_row;  // From one of them to the next.
};

struct FourSums {
  int32_t s0, s1, s2, s3;
};

MEDYATE_ALWAYS_INLINE void AddTap(const int8_t* x, const int8_t* w, uint32_t offset,
                                  FourSums* sums) {
  const uint32_t x4 = Load32(x), w4 = Load32(w);
  const uint32_t x_even = EvenBytes(offset, x4), w_even = EvenBytes(w4);
  const uint32_t x_odd = OddBytes(offset, x4), w_odd = OddBytes(w4);
  sums->s0 = AddLowProduct(sums->s0, x_even, w_even);
  sums->s2 = AddHighProduct(sums->s2, x_even, w_even);
  sums->s1 = AddLowProduct(sums->s1, x_odd, w_odd);
  sums->s3 = AddHighProduct(sums->s3, x_odd, w_odd);
}

// Four channels of one position: `columns` taps of every row, `step` apart in x and w alike.
MEDYATE_ALWAYS_INLINE void SumTaps(const Rows& rows, const int8_t* x_row, const int8_t* w_row,
                                   int columns, int step, uint32_t offset, FourSums* sums) {
  FourSums s = *sums;
  const int x_next = rows.x_row;
  const int w_next = rows.w_row;
  for (int a = rows.count; a > 0; --a) {
    if (columns == 3) {
      AddTap(x_row, w_row, offset, &s);
      AddTap(x_row + step, w_row + step, offset, &s);
      AddTap(x_row + 2 * step, w_row + 2 * step, offset, &s);
    } else {
      const int8_t* x = x_row;
      const int8_t* w = w_row;
      for (int b = columns; b > 0; --b) {
        AddTap(x, w, offset, &s);
        x += step;
        w += step;
      }
    }
    x_row += x_next;
    w_row += w_next;
  }
  *sums = s;
}

// Channels c to c + 3 of an output row; as many outputs as inputs, taps side by side.
MEDYATE_NO_INLINE void FourChannels(const ConvShape& s, const Rows& rows, int c, uint32_t offset,
                                    const Requantization& to, int8_t* y) {
  const int step = s.in_channels;
  const FourSums bias = {to.bias[c], to.bias[c + 1], to.bias[c + 2], to.bias[c + 3]};
  const int32_t m0 = to.multiplier[c], m1 = to.multiplier[c + 1];
  const int32_t m2 = to.multiplier[c + 2], m3 = to.multiplier[c + 3];
  const int32_t h0 = to.shift[c], h1 = to.shift[c + 1], h2 = to.shift[c + 2];
  const int32_t h3 = to.shift[c + 3];
  const int zero = to.zero;
  y += c;
  for (int ow = 0; ow < s.w.out; ++ow, y += step) {
    int at = ow * s.w.stride - s.w.pad;
    int first = at < 0 ? -at : 0;
    const int beyond = at + s.w.kernel - s.w.in;
    const int columns = s.w.kernel - first - (beyond > 0 ? beyond : 0);
    at += first;
    FourSums sums = bias;
    SumTaps(rows, rows.x + at * step + c, rows.w + first * step + c, columns, step, offset, &sums);
    y[0] = Saturated(Scaled(sums.s0, m0, h0) + zero);
    y[1] = Saturated(Scaled(sums.s1, m1, h1) + zero);
    y[2] = Saturated(Scaled(sums.s2, m2, h2) + zero);
    y[3] = Saturated(Scaled(sums.s3, m3, h3) + zero);
  }
}

// Output o of a row, which reads channel c.
void OneChannel(const ConvShape& s, const Rows& rows, int c, int o, int x_zero,
                const Requantization& to, int8_t* y) {
  for (int ow = 0; ow < s.w.out; ++ow) {
    const Taps tw = TapsOfOutput(s.w, ow);
    int32_t sum = to.bias[o];
    for (int a = 0; a < rows.count; ++a) {
      const int8_t* x = rows.x + a * rows.x_row + tw.at * s.in_channels + c;
      const int8_t* w = rows.w + a * rows.w_row + tw.first * s.out_channels + o;
      for (int b = 0; b < tw.count; ++b) {
        sum += (*x - x_zero) * *w;
        x += tw.at_step * s.in_channels;
        w += s.out_channels;
      }
    }
    y[ow * s.out_channels + o] = Saturated(Scaled(sum, to.multiplier[o], to.shift[o]) + to.zero);
  }
}

}  // namespace

void Int8DepthwiseConv2dForward(const ConvShape& s, const int8_t* x, int x_zero, const int8_t* w,
                                const Requantization& to, int8_t* y) {
  const int fan_out = s.out_channels / s.in_channels;
  const uint32_t offset = Pair(-x_zero, -x_zero);
  const int x_row = s.w.in * s.in_channels;
  const int w_row = s.w.kernel * s.out_channels;
  for (int oh = 0; oh < s.h.out; ++oh) {
    const Taps th = TapsOfOutput(s.h, oh);
    const Rows rows = {x + th.at * x_row, w + th.first * w_row, th.count, th.at_step * x_row,
                       w_row};
    int o = 0;
    if (fan_out == 1 && s.w.dilation == 1) {
      for (; o + 4 <= s.out_channels; o += 4) FourChannels(s, rows, o, offset, to, y);
    }
    for (; o < s.out_channels; ++o) OneChannel(s, rows, o / fan_out, o, x_zero, to, y);
    y += s.w.out * s.out_channels;
  }
}

}  // namespace math
}  // namespace medyate
