#include "tflm_ops/math/depthwise_conv2d.h"

#include <stdint.h>

#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/strips.h"
#include "tflm_ops/math/tile.h"

namespace medyate {
namespace math {
namespace {

// What the pixels of one pass have in common: it takes the channels of a block.
struct Pass {
  const ConvShape* shape;
  const Block* block;
  int multiplier;     // M.
  int pitch;          // From a position of `in` to the next, if M = 1.
  const float* in;    // x or dy, from the block's first channel on.
  const float* bias;  // Forward only, likewise; may be null.
  float* out;         // y or dx, likewise.
};

// Where the weights of Q channels lie: a pointer, and constants that take fewer registers in a loop
// than pointers that all advance.
template <int Q>
struct Distances;

template <>
struct Distances<4> {
  intptr_t d1, d2, d3;  // Bytes.

  explicit Distances(const float* const* runs)
      : d1(Address(runs[1]) - Address(runs[0])),
        d2(Address(runs[2]) - Address(runs[0])),
        d3(Address(runs[3]) - Address(runs[0])) {}
  static intptr_t Address(const float* p) { return reinterpret_cast<intptr_t>(p); }
  static const float* At(const float* p, intptr_t bytes) {
    return reinterpret_cast<const float*>(Address(p) + bytes);
  }
  MEDYATE_ALWAYS_INLINE Vec<4> Load(const float* p) const {
    // All addresses first: a load right after another one takes half the time.
    const Cursor<4> places = {p, At(p, d1), At(p, d2), At(p, d3)};
    return places.Load();
  }
};

template <>
struct Distances<1> {
  explicit Distances(const float* const*) {}
  MEDYATE_ALWAYS_INLINE Vec<1> Load(const float* p) const { return {*p}; }
};

// P pixels (M = 1): sums over the taps of in * weights, Q channels at a time from the block's k-th
// on. Forward and backward differ only in the strips. Returns where it stopped.
//
// Args:
//   columns: width of `in`.
template <int P, int Q>
MEDYATE_NO_INLINE int AddStrip(const Pass& pass, const Strip& strip, int columns, int k) {
  const ConvShape& s = *pass.shape;
  const Taps& th = strip.th;
  const Taps& tw = strip.tw;
  const int in_step = strip.read_step * pass.pitch;
  const int out_step = strip.step * s.in_channels;
  const int in_row = th.at_step * columns * pass.pitch;
  const int w_row = th.step * s.w.kernel;
  // A single column of taps is walked like a row.
  const bool column = tw.count == 1;
  const int rows = column ? 1 : th.count;
  const int taps = column ? th.count : tw.count;
  const int in_tap = column ? in_row : tw.at_step * pass.pitch;
  const int w_tap = column ? w_row : tw.step;
  const int first_tap = th.first * s.w.kernel + tw.first;
  float* const outs = pass.out + strip.first * s.in_channels;
  const float* const ins = pass.in + strip.read * pass.pitch;
  const float* const bias = pass.bias;
  const float* const* const runs = pass.block->runs;
  const int last = pass.block->count - Q;
  for (; k <= last; k += Q) {
    const float* in = ins + k;
    const float* w = runs[k] + first_tap;
    const Distances<Q> distances(runs + k);
    Tile<P, Q> sums = Tile<P, Q>::All(bias ? Vec<Q>::Load(bias + k) : Vec<Q>::Zero());
    for (int a = rows; a > 0; --a) {
      const float* x = in;
      const float* v = w;
      for (int b = taps; b > 0; --b) {
        sums.AddProducts(x, in_step, distances.Load(v));
        x += in_tap;
        v += w_tap;
      }
      in += in_row;
      w += w_row;
    }
    sums.Store(outs + k, out_step);
  }
  return k;
}

// The pixels of a strip, all channels (M = 1).
template <int P>
void AddPixels(const Pass& pass, const Strip& strip, int columns) {
  const int done = AddStrip<P, 4>(pass, strip, columns, 0);
  if (done < pass.block->count) AddStrip<P, 1>(pass, strip, columns, done);
}

void AddAnyStrip(const Pass& pass, const Strip& strip, int columns) {
  strip.size == 4 ? AddPixels<4>(pass, strip, columns) : AddPixels<1>(pass, strip, columns);
}

// The same for any M: channel by channel, plainly.
MEDYATE_NO_INLINE void ForwardPixelMultiplied(const Pass& pass, const Taps& th, const Taps& tw,
                                              int k, float* y) {
  const ConvShape& s = *pass.shape;
  for (int m = 0; m < pass.multiplier; ++m) {
    const int o = k * pass.multiplier + m;
    float sum = pass.bias ? pass.bias[o] : 0.0f;
    for (int a = 0; a < th.count; ++a) {
      const float* x = pass.in + ((th.at + a * th.at_step) * s.w.in + tw.at) * s.in_channels + k;
      const int tap = (th.first + a) * s.w.kernel + tw.first;
      const float* w = pass.block->runs[k] + tap * pass.multiplier + m;
      for (int b = 0; b < tw.count; ++b) {
        sum += *x * *w;
        x += tw.at_step * s.in_channels;
        w += pass.multiplier;
      }
    }
    y[o] = sum;
  }
}

MEDYATE_NO_INLINE void InputGradientPixelMultiplied(const Pass& pass, const Taps& th,
                                                    const Taps& tw, int k, float* dx) {
  const ConvShape& s = *pass.shape;
  float sum = 0.0f;
  for (int a = 0; a < th.count; ++a) {
    for (int b = 0; b < tw.count; ++b) {
      const int pixel = (th.at + a * th.at_step) * s.w.out + tw.at + b * tw.at_step;
      const float* dy = pass.in + pixel * s.out_channels + k * pass.multiplier;
      const int kh = th.first + a * th.step;
      const int kw = tw.first + b * tw.step;
      const float* w = pass.block->runs[k] + (kh * s.w.kernel + kw) * pass.multiplier;
      for (int m = 0; m < pass.multiplier; ++m) sum += dy[m] * w[m];
    }
  }
  dx[k] = sum;
}

void ForwardPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  if (pass.multiplier == 1) {
    return ForEachOutputStrip(s.h, s.w, false,
                              [&](const Strip& strip) { AddAnyStrip(pass, strip, s.w.in); });
  }
  float* y = pass.out;
  for (int oh = 0; oh < s.h.out; ++oh) {
    const Taps th = TapsOfOutput(s.h, oh);
    for (int ow = 0; ow < s.w.out; ++ow, y += s.out_channels) {
      const Taps tw = TapsOfOutput(s.w, ow);
      for (int k = 0; k < pass.block->count; ++k) ForwardPixelMultiplied(pass, th, tw, k, y);
    }
  }
}

void InputGradientPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  if (pass.multiplier == 1) {
    return ForEachInputStrip(s.h, s.w, false,
                             [&](const Strip& strip) { AddAnyStrip(pass, strip, s.w.out); });
  }
  float* dx = pass.out;
  for (int ih = 0; ih < s.h.in; ++ih) {
    const Taps th = TapsOfInput(s.h, ih);
    for (int iw = 0; iw < s.w.in; ++iw, dx += s.in_channels) {
      const Taps tw = TapsOfInput(s.w, iw);
      for (int k = 0; k < pass.block->count; ++k) {
        InputGradientPixelMultiplied(pass, th, tw, k, dx);
      }
    }
  }
}

// Both passes over `n` channels, block by block.
void ForwardBlocks(const ConvShape& shape, int n, const float* x, int pitch, const Weights& w,
                   const float* bias, float* y) {
  const int multiplier = shape.out_channels / shape.in_channels;
  Block block;
  Blocks blocks(w, n, shape.h.kernel * shape.w.kernel * multiplier, false);
  while (blocks.Next(&block)) {
    const int first = block.first * multiplier;
    ForwardPass({&shape, &block, multiplier, pitch, x + block.first, bias ? bias + first : nullptr,
                 y + first});
  }
}

void InputGradientBlocks(const ConvShape& shape, int n, const float* dy, int pitch,
                         const Weights& w, float* dx) {
  const int multiplier = shape.out_channels / shape.in_channels;
  Block block;
  Blocks blocks(w, n, shape.h.kernel * shape.w.kernel * multiplier, false);
  while (blocks.Next(&block)) {
    InputGradientPass({&shape, &block, multiplier, pitch, dy + block.first * multiplier, nullptr,
                       dx + block.first});
  }
}

// How the rows of a map are read by a kernel of three columns that overlaps its edges by no more
// than one position: all three taps but for the first output and the last.
struct ThreeTaps {
  bool left;   // The first output lacks the first tap.
  bool right;  // The last output lacks the last tap.
};

bool ReadsThreeTaps(const Axis& a, ThreeTaps* taps) {
  if (a.kernel != 3 || a.dilation != 1 || a.out < 2) return false;
  const Taps first = TapsOfOutput(a, 0);
  const Taps last = TapsOfOutput(a, a.out - 1);
  taps->left = first.count == 2;
  taps->right = last.count == 2;
  return first.first == (taps->left ? 1 : 0) && first.first + first.count == 3 && last.first == 0 &&
         last.count >= 2;
}

// The gradient of the three weights (kh, 0 .. 2) of a channel, `multiplier` floats apart: for them
// each gradient of the output is read once.
//
// Args:
//   stash: the channel's inputs.
//   dy: its first gradient; the others lie out_channels further each.
MEDYATE_NO_INLINE void WeightGradientRow(const ConvShape& s, const ThreeTaps& taps,
                                         const float* stash, const float* dy, int kh,
                                         int multiplier, float* dw) {
  const Range rows = OutputsOfTap(s.h, kh);
  const int step = s.w.stride;
  const int channels = s.out_channels;
  const int whole = s.w.out - (taps.left ? 1 : 0) - (taps.right ? 1 : 0);
  const int x_row = s.h.stride * s.w.in;
  stash += (rows.begin * s.h.stride - s.h.pad + kh * s.h.dilation) * s.w.in;
  dy += rows.begin * s.w.out * channels;
  float sum0 = 0.0f, sum1 = 0.0f, sum2 = 0.0f;
  for (int row = rows.end - rows.begin; row > 0; --row) {
    const float* x = stash;
    if (taps.left) {
      sum1 += x[0] * *dy;
      sum2 += x[1] * *dy;
      x += step - 1;
      dy += channels;
    }
    for (int n = whole; n > 0; --n) {
      const float d = *dy;
      const float p0 = x[0] * d;
      const float p1 = x[1] * d;
      const float p2 = x[2] * d;
      sum0 += p0;
      sum1 += p1;
      sum2 += p2;
      x += step;
      dy += channels;
    }
    if (taps.right) {
      sum0 += x[0] * *dy;
      sum1 += x[1] * *dy;
      dy += channels;
    }
    stash += x_row;
  }
  dw[0] += sum0;
  dw[multiplier] += sum1;
  dw[2 * multiplier] += sum2;
}

// The gradient of one weight (kh, kw) of Q drawn channels.
//
// Args:
//   stash: of the first of them.
//   dy: the first gradient of each.
//   dw: that weight of the first; the others lie `run` floats further each.
template <int Q>
MEDYATE_NO_INLINE void WeightGradientTap(const ConvShape& s, const float* stash,
                                         const Cursor<Q>& dy, int kh, int kw, int run, float* dw) {
  const Range rows = OutputsOfTap(s.h, kh);
  const Range columns = OutputsOfTap(s.w, kw);
  const int ih = rows.begin * s.h.stride - s.h.pad + kh * s.h.dilation;
  const int iw = columns.begin * s.w.stride - s.w.pad + kw * s.w.dilation;
  const int count = columns.end - columns.begin;
  const int x_turn = s.h.stride * s.w.in - count * s.w.stride;  // To the next row.
  const int dy_turn = (s.w.out - count) * s.out_channels;
  Cursor<Q> x = Cursor<Q>::Strided(stash + ih * s.w.in + iw, s.h.in * s.w.in);
  Cursor<Q> d = dy;
  d.Advance((rows.begin * s.w.out + columns.begin) * s.out_channels);
  Vec<Q> sums = Vec<Q>::Zero();
  for (int row = count > 0 ? rows.end - rows.begin : 0; row > 0; --row) {
    for (int n = count; n > 0; --n) {
      sums.AddProduct(x.Load(), d.Load());
      x.Advance(s.w.stride);
      d.Advance(s.out_channels);
    }
    x.Advance(x_turn);
    d.Advance(dy_turn);
  }
  const Cursor<Q, float> out = Cursor<Q, float>::Strided(dw, run);
  Vec<Q> total = out.Load();
  total.Add(sums);
  out.Store(total);
}

// All weights of Q drawn channels.
template <int Q>
void WeightGradientRuns(const ConvShape& s, const float* stash, const uint16_t* channels,
                        const float* dy, float* dw) {
  const int multiplier = s.out_channels / s.in_channels;
  const int run = s.h.kernel * s.w.kernel * multiplier;
  int outputs[Q];
  for (int q = 0; q < Q; ++q) outputs[q] = channels[q] * multiplier;
  for (int kh = 0; kh < s.h.kernel; ++kh) {
    for (int kw = 0; kw < s.w.kernel; ++kw) {
      for (int m = 0; m < multiplier; ++m) {
        WeightGradientTap<Q>(s, stash, Cursor<Q>::At(dy + m, outputs), kh, kw, run, dw++);
      }
    }
  }
}

// The same for one channel and a kernel that reads three taps.
void WeightGradientRows(const ConvShape& s, const ThreeTaps& taps, const float* stash, int channel,
                        const float* dy, float* dw) {
  const int multiplier = s.out_channels / s.in_channels;
  for (int kh = 0; kh < s.h.kernel; ++kh) {
    for (int m = 0; m < multiplier; ++m) {
      WeightGradientRow(s, taps, stash, dy + channel * multiplier + m, kh, multiplier,
                        dw + kh * 3 * multiplier + m);
    }
  }
}

}  // namespace

void DepthwiseConv2dForward(const ConvShape& shape, const float* x, const Weights& w,
                            const float* bias, float* y) {
  DepthwiseConv2dForwardPart(shape, shape.in_channels, x, w, bias, y);
}

void DepthwiseConv2dForwardPart(const ConvShape& shape, int n, const float* x, const Weights& w,
                                const float* bias, float* y) {
  ForwardBlocks(shape, n, x, shape.in_channels, w, bias, y);
}

void DepthwiseConv2dForwardPlanes(const ConvShape& shape, int n, const float* x, const Weights& w,
                                  const float* bias, float* y) {
  ForwardBlocks(shape, n, x, n, w, bias, y);
}

void DepthwiseConv2dInputGradient(const ConvShape& shape, const float* dy, const Weights& w,
                                  float* dx) {
  DepthwiseConv2dInputGradientPart(shape, shape.in_channels, dy, w, dx);
}

void DepthwiseConv2dInputGradientPart(const ConvShape& shape, int n, const float* dy,
                                      const Weights& w, float* dx) {
  InputGradientBlocks(shape, n, dy, shape.out_channels, w, dx);
}

void DepthwiseConv2dInputGradientPlanes(const ConvShape& shape, int n, const float* dy,
                                        const Weights& w, float* dx) {
  InputGradientBlocks(shape, n, dy, n, w, dx);
}

void DepthwiseConv2dWeightGradientSelected(const ConvShape& shape, const float* stash,
                                           const uint16_t* channels, int n, const float* dy,
                                           float* dw) {
  const int plane = shape.h.in * shape.w.in;
  const int run = shape.h.kernel * shape.w.kernel * (shape.out_channels / shape.in_channels);
  ThreeTaps taps;
  int k = 0;
  if (ReadsThreeTaps(shape.w, &taps)) {
    for (; k < n; ++k) {
      WeightGradientRows(shape, taps, stash + k * plane, channels[k], dy, dw + k * run);
    }
  }
  for (; k + 4 <= n; k += 4) {
    WeightGradientRuns<4>(shape, stash + k * plane, channels + k, dy, dw + k * run);
  }
  for (; k < n; ++k) {
    WeightGradientRuns<1>(shape, stash + k * plane, channels + k, dy, dw + k * run);
  }
}

}  // namespace math
}  // namespace medyate
