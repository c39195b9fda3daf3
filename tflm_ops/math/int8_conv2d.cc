#include "tflm_ops/math/int8_conv2d.h"

#include "tflm_ops/math/int8_inline.h"

namespace medyate {
namespace math {
namespace {

int Depth(const ConvShape& s) { return s.h.kernel * s.w.kernel * s.in_channels; }

int Rounded(int depth) { return (depth + 3) & ~3; }

// A patch, what one output position reads of the input, as 16-bit numbers less the zero point. Two
// patches lie side by side, four numbers of one and four of the other, so that one pointer reads
// both. Of every four the second and third change places: so bytes of weights come out of a word.
void Widen(const int8_t* x, int n, int zero, int16_t* wide) {
  const uint32_t offset = Pair(-zero, -zero);
  for (; n >= 4; n -= 4, x += 4, wide += 8) {
    const uint32_t bytes = Load32(x);
    const uint32_t even = EvenBytes(offset, bytes);
    const uint32_t odd = OddBytes(offset, bytes);
    memcpy(wide, &even, sizeof(even));
    memcpy(wide + 2, &odd, sizeof(odd));
  }
  for (; n > 0; --n) *wide++ = static_cast<int16_t>(*x++ - zero);
}

// Copies a patch out of a map; what lies outside is `zero`.
void Gather(const ConvShape& s, const int8_t* x, int zero, int oh, int ow, int8_t* patch) {
  const Taps th = TapsOfOutput(s.h, oh);
  const Taps tw = TapsOfOutput(s.w, ow);
  const int channels = s.in_channels;
  if (th.count < s.h.kernel || tw.count < s.w.kernel) memset(patch, zero, Depth(s));
  patch += (th.first * s.w.kernel + tw.first) * channels;
  x += (th.at * s.w.in + tw.at) * channels;
  for (int a = 0; a < th.count; ++a) {
    const int8_t* from = x;
    int8_t* to = patch;
    for (int b = 0; b < tw.count; ++b) {
      for (int c = 0; c < channels; ++c) to[c] = from[c];
      from += tw.at_step * channels;
      to += channels;
    }
    x += th.at_step * s.w.in * channels;
    patch += s.w.kernel * channels;
  }
}

// The sums of two rows of weights, each `depth` long, with two patches.
struct FourSums {
  int32_t s00, s01, s10, s11;  // Patch, row.
};

// Four steps of depth.
MEDYATE_ALWAYS_INLINE void AddFour(const int16_t* x, const int8_t* w0, const int8_t* w1,
                                   FourSums* s) {
  const uint32_t bytes0 = Load32(w0), bytes1 = Load32(w1);
  const uint32_t even0 = EvenBytes(bytes0), odd0 = OddBytes(bytes0);
  const uint32_t even1 = EvenBytes(bytes1), odd1 = OddBytes(bytes1);
  const uint32_t even_x0 = Load32(x), odd_x0 = Load32(x + 2);
  s->s00 = AddProducts(s->s00, even_x0, even0);
  s->s01 = AddProducts(s->s01, even_x0, even1);
  s->s00 = AddProducts(s->s00, odd_x0, odd0);
  s->s01 = AddProducts(s->s01, odd_x0, odd1);
  const uint32_t even_x1 = Load32(x + 4), odd_x1 = Load32(x + 6);
  s->s10 = AddProducts(s->s10, even_x1, even0);
  s->s11 = AddProducts(s->s11, even_x1, even1);
  s->s10 = AddProducts(s->s10, odd_x1, odd0);
  s->s11 = AddProducts(s->s11, odd_x1, odd1);
}

MEDYATE_NO_INLINE void Sum(const int16_t* x, const int8_t* w0, const int8_t* w1, int depth,
                           FourSums* sums) {
  FourSums s = {0, 0, 0, 0};
  const int rest = depth & 3;
  const int8_t* const end = w0 + (depth - rest);
  if (depth & 4) {
    AddFour(x, w0, w1, &s);
    x += 8;
    w0 += 4;
    w1 += 4;
  }
  while (w0 != end) {
    AddFour(x, w0, w1, &s);
    AddFour(x + 8, w0 + 4, w1 + 4, &s);
    x += 16;
    w0 += 8;
    w1 += 8;
  }
  for (int k = 0; k < rest; ++k) {
    s.s00 += x[k] * w0[k];
    s.s01 += x[k] * w1[k];
    s.s10 += x[4 + k] * w0[k];
    s.s11 += x[4 + k] * w1[k];
  }
  *sums = s;
}

// Two positions, or with `count` 1 the first alone.
void Positions(const int16_t* patches, const int8_t* w, int depth, int out_channels,
               const Requantization& to, int count, int8_t* y) {
  // By pointers of their own: y, bytes, may alias whatever else is read while it is written.
  const int32_t* bias = to.bias;
  const int32_t* multiplier = to.multiplier;
  const int32_t* shift = to.shift;
  const int zero = to.zero;
  int8_t* second = y + (count - 1) * out_channels;
  FourSums s;
  for (int rest = out_channels; rest > 0; rest -= 2) {
    // A last row without a second is its own second: the same output, written twice. So is a
    // single position.
    const int last = rest > 1 ? 1 : 0;
    Sum(patches, w, w + last * depth, depth, &s);
    w += 2 * depth;
    *second = Saturated(Scaled(*bias + s.s10, *multiplier, *shift) + zero);
    *y = Saturated(Scaled(*bias + s.s00, *multiplier, *shift) + zero);
    bias += last;
    multiplier += last;
    shift += last;
    second += last;
    y += last;
    *second++ = Saturated(Scaled(*bias + s.s11, *multiplier, *shift) + zero);
    *y++ = Saturated(Scaled(*bias++ + s.s01, *multiplier++, *shift++) + zero);
  }
}

}  // namespace

int Int8PatchBytes(const ConvShape& shape) {
  // Two wide patches, and one as it is gathered.
  return Rounded(Depth(shape)) * (2 * static_cast<int>(sizeof(int16_t)) + 1);
}

void Int8Conv2dForward(const ConvShape& s, const int8_t* x, int x_zero, const int8_t* w,
                       const Requantization& to, void* patches, int8_t* y) {
  const int depth = Depth(s);
  const bool is_point = s.h.kernel == 1 && s.w.kernel == 1 && s.h.pad == 0 && s.w.pad == 0;
  int16_t* wide = static_cast<int16_t*>(patches);
  int8_t* gathered = reinterpret_cast<int8_t*>(wide + 2 * Rounded(depth));
  int waiting = 0;
  for (int oh = 0; oh < s.h.out; ++oh) {
    for (int ow = 0; ow < s.w.out; ++ow) {
      const int8_t* patch = gathered;
      if (is_point) {
        patch = x + (oh * s.h.stride * s.w.in + ow * s.w.stride) * s.in_channels;
      } else {
        Gather(s, x, x_zero, oh, ow, gathered);
      }
      Widen(patch, depth, x_zero, wide + 4 * waiting);
      if (++waiting == 2) {
        Positions(wide, w, depth, s.out_channels, to, 2, y);
        y += 2 * s.out_channels;
        waiting = 0;
      }
    }
  }
  if (!waiting) return;
  // The second patch of a pair is summed, too: not over what the scratch memory held before.
  for (int k = 4; k < 2 * Rounded(depth); k += 8) memset(wide + k, 0, 4 * sizeof(*wide));
  Positions(wide, w, depth, s.out_channels, to, 1, y);
}

}  // namespace math
}  // namespace medyate
