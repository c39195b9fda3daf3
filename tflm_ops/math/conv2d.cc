#include "tflm_ops/math/conv2d.h"

#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/strips.h"
#include "tflm_ops/math/tile.h"

namespace medyate {
namespace math {
namespace {

// A 1x1 convolution that reads every pixel once is one row of H * W pixels: tiles fill better.
ConvShape Flatten(const ConvShape& s) {
  if (!IsUnit(s.h) || !IsUnit(s.w)) return s;
  return {UnitAxis(1), UnitAxis(s.h.in * s.w.in), s.in_channels, s.out_channels};
}

// Whether a flattened shape is such a row.
bool IsPointwise(const ConvShape& s) { return s.h.in == 1 && IsUnit(s.h) && IsUnit(s.w); }

// What the tiles of one pass have in common: it takes the input channels of a block.
struct Pass {
  const ConvShape* shape;
  const Block* block;
  const float* in;    // x from the block's first channel on, or dy.
  const float* bias;  // Forward only; may be null.
  float* out;         // y, or dx from the block's first channel on.
  int out_step;       // Forward only: from one pixel of y to the next.
};

// Where the positions of a strip meet its tap-th tap across: at x and from there on, `step` floats
// apart. In a strip that meets padding, zeros stand for that. A position then adds 0 * w where it
// had no tap: no sum changes, but for one that is -0 (a bias can be), or if w is not finite.
//
// Args:
//   row: where the row begins, if the strip meets padding.
template <int P>
MEDYATE_ALWAYS_INLINE Cursor<P> Meet(const Strip& strip, int tap, const float* row, const float* x,
                                     int pitch, int step) {
  if (P == 1 || strip.width == 0) return Cursor<P>::Strided(x, step);
  const float* places[P];
  MeetTap(strip, tap, row, pitch, places);
  return Cursor<P>::Of(places);
}

// P output pixels by Q output channels from `o`.
//
// kContiguous: the block's runs lie side by side.
template <int P, int Q, bool kContiguous>
MEDYATE_NO_INLINE void ForwardTile(const Pass& pass, const Strip& strip, int o) {
  const ConvShape& s = *pass.shape;
  const Block& block = *pass.block;
  const Taps& tw = strip.tw;
  const int run = s.h.kernel * s.w.kernel * s.out_channels;
  // With one input channel the taps of a row lie side by side, and so do their weights.
  const bool in_one = kContiguous && s.in_channels == 1 && tw.at_step == 1;
  const int taps = in_one ? 1 : tw.count;
  const int depth = in_one ? tw.count : block.count;
  const int w_step = in_one ? s.out_channels : run;
  const int x_step = strip.read_step * s.in_channels;
  const int y_step = strip.step * pass.out_step;
  float* y = pass.out + strip.first * pass.out_step + o;
  const float* x_row = pass.in + strip.read * s.in_channels;
  int w_row = (strip.th.first * s.w.kernel + tw.first) * s.out_channels + o;
  Tile<P, Q> sums;
  if (block.first > 0) {
    sums = Tile<P, Q>::Load(y, y_step);
  } else {
    sums = Tile<P, Q>::All(pass.bias ? Vec<Q>::Load(pass.bias + o) : Vec<Q>::Zero());
  }
  for (int a = 0; a < strip.th.count; ++a) {
    const float* x = x_row;
    int w = w_row;
    for (int b = 0; b < taps; ++b) {
      const Cursor<P> rows = Meet<P>(strip, b, x_row, x, s.in_channels, x_step);
      if (kContiguous) {
        AddOuterProducts<P, Q>(rows, 1, block.weights + w, w_step, depth, &sums);
      } else {
        AddOuterProductsOfRuns<P, Q>(rows, block.runs, w, depth, &sums);
      }
      x += tw.at_step * s.in_channels;
      w += s.out_channels;
    }
    x_row += strip.th.at_step * s.w.in * s.in_channels;
    w_row += s.w.kernel * s.out_channels;
  }
  sums.Store(y, y_step);
}

template <int P, bool kContiguous>
void ForwardTiles(const Pass& pass, const Strip& strip, int o) {
  const int out_channels = pass.shape->out_channels;
  for (; o + 4 <= out_channels; o += 4) ForwardTile<P, 4, kContiguous>(pass, strip, o);
  for (; o < out_channels; ++o) ForwardTile<P, 1, kContiguous>(pass, strip, o);
}

// The output channels of a strip from `o` on.
void ForwardStrip(const Pass& pass, const Strip& strip, int o) {
  if (pass.block->weights) {
    strip.size == 4 ? ForwardTiles<4, true>(pass, strip, o) : ForwardTiles<1, true>(pass, strip, o);
  } else {
    strip.size == 4 ? ForwardTiles<4, false>(pass, strip, o)
                    : ForwardTiles<1, false>(pass, strip, o);
  }
}

// Four pixels, at x, of a kernel of one tap: a loop over output channels with nothing else in it.
// Returns where it stopped.
template <bool kContiguous>
MEDYATE_NO_INLINE int PointwiseForward(const Pass& pass, const float* x, float* y) {
  const int in_channels = pass.shape->in_channels;
  const int out_channels = pass.shape->out_channels;
  const Block& block = *pass.block;
  const float* bias = pass.bias;
  const int y_step = pass.out_step;
  int o = 0;
  for (; o + 4 <= out_channels; o += 4) {
    Tile<4, 4> sums;
    if (block.first > 0) {
      sums = Tile<4, 4>::Load(y + o, y_step);
    } else {
      sums = Tile<4, 4>::All(bias ? Vec<4>::Load(bias + o) : Vec<4>::Zero());
    }
    if (kContiguous) {
      AddOuterProducts<4, 4>(Cursor<4>::Strided(x, in_channels), 1, block.weights + o, out_channels,
                             block.count, &sums);
    } else {
      AddOuterProductsOfRuns<4, 4>(Cursor<4>::Strided(x, in_channels), block.runs, o, block.count,
                                   &sums);
    }
    sums.Store(y + o, y_step);
  }
  return o;
}

void ForwardPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  const bool pointwise = IsPointwise(s);
  // One channel's taps are taken as a row, all at once.
  ForEachOutputStrip(s.h, s.w, s.in_channels > 1, [&pass, &s, pointwise](const Strip& strip) {
    int done = 0;
    if (pointwise && strip.size == 4) {
      const float* x = pass.in + strip.read * s.in_channels;
      float* y = pass.out + strip.first * pass.out_step;
      done = pass.block->weights ? PointwiseForward<true>(pass, x, y)
                                 : PointwiseForward<false>(pass, x, y);
    }
    if (done < s.out_channels) ForwardStrip(pass, strip, done);
  });
}

// P input pixels by Q input channels from the block's i-th on.
template <int P, int Q>
MEDYATE_NO_INLINE void InputGradientTile(const Pass& pass, const Strip& strip, int i) {
  const ConvShape& s = *pass.shape;
  const Taps& th = strip.th;
  const Taps& tw = strip.tw;
  const int dy_step = strip.read_step * s.out_channels;
  const float* dy_row = pass.in + strip.read * s.out_channels;
  Cursor<Q> w_row = Cursor<Q>::Of(pass.block->runs + i);
  w_row.Advance((th.first * s.w.kernel + tw.first) * s.out_channels);
  Tile<P, Q> sums = Tile<P, Q>::All(Vec<Q>::Zero());
  for (int a = 0; a < th.count; ++a) {
    const float* dy = dy_row;
    Cursor<Q> w = w_row;
    for (int b = 0; b < tw.count; ++b) {
      const Cursor<P> rows = Meet<P>(strip, b, dy_row, dy, s.out_channels, dy_step);
      AddDotProducts<P, Q>(rows, w, s.out_channels, &sums);
      dy += tw.at_step * s.out_channels;
      w.Advance(tw.step * s.out_channels);
    }
    dy_row += th.at_step * s.w.out * s.out_channels;
    w_row.Advance(th.step * s.w.kernel * s.out_channels);
  }
  sums.Store(pass.out + strip.first * s.in_channels + i, strip.step * s.in_channels);
}

template <int P>
void InputGradientTiles(const Pass& pass, const Strip& strip, int i) {
  for (; i + 4 <= pass.block->count; i += 4) InputGradientTile<P, 4>(pass, strip, i);
  for (; i < pass.block->count; ++i) InputGradientTile<P, 1>(pass, strip, i);
}

// Four pixels, at dy, of a kernel of one tap: a loop over input channels with nothing else in it.
// Returns where it stopped.
MEDYATE_NO_INLINE int PointwiseInputGradient(const Pass& pass, const float* dy, float* dx) {
  const int in_channels = pass.shape->in_channels;
  const int out_channels = pass.shape->out_channels;
  const int count = pass.block->count;
  const float* const* runs = pass.block->runs;
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    Tile<4, 4> sums = Tile<4, 4>::All(Vec<4>::Zero());
    AddDotProducts<4, 4>(Cursor<4>::Strided(dy, out_channels), Cursor<4>::Of(runs + i),
                         out_channels, &sums);
    sums.Store(dx + i, in_channels);
  }
  return i;
}

void InputGradientPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  const bool pointwise = IsPointwise(s);
  ForEachInputStrip(s.h, s.w, s.out_channels <= kZeros, [&pass, &s, pointwise](const Strip& strip) {
    int done = 0;
    if (pointwise && strip.size == 4) {
      done = PointwiseInputGradient(pass, pass.in + strip.read * s.out_channels,
                                    pass.out + strip.first * s.in_channels);
    }
    if (done == pass.block->count) return;
    strip.size == 4 ? InputGradientTiles<4>(pass, strip, done)
                    : InputGradientTiles<1>(pass, strip, done);
  });
}

// P stashed channels by Q output channels of the gradient of the weights at tap (kh, kw).
template <int P, int Q>
MEDYATE_NO_INLINE void WeightGradientTile(const ConvShape& s, const float* stash, const float* dy,
                                          int kh, int kw, float* dw) {
  const Range rows = OutputsOfTap(s.h, kh);
  const Range columns = OutputsOfTap(s.w, kw);
  const int plane = s.h.in * s.w.in;
  const int run = s.h.kernel * s.w.kernel * s.out_channels;
  const int count = columns.end - columns.begin;
  const int iw = columns.begin * s.w.stride - s.w.pad + kw * s.w.dilation;
  const int ih = rows.begin * s.h.stride - s.h.pad + kh * s.h.dilation;
  const float* x = stash + ih * s.w.in + iw;
  const float* d = dy + (rows.begin * s.w.out + columns.begin) * s.out_channels;
  Tile<P, Q> sums = Tile<P, Q>::All(Vec<Q>::Zero());
  for (int row = count > 0 ? rows.end - rows.begin : 0; row > 0; --row) {
    if (P * Q == 16 && s.w.stride == 1) {
      AddOuterProducts<P, Q>(Cursor<P>::Strided(x, plane), 1, d, s.out_channels, count, &sums);
    } else {
      AddOuterProducts<P, Q, false>(Cursor<P>::Strided(x, plane), s.w.stride, d, s.out_channels,
                                    count, &sums);
    }
    x += s.h.stride * s.w.in;
    d += s.w.out * s.out_channels;
  }
  Tile<P, Q> total = Tile<P, Q>::Load(dw, run);
  total.Add(sums);
  total.Store(dw, run);
}

// P stashed channels: all taps and output channels of their weights.
template <int P>
void WeightGradientRuns(const ConvShape& s, const float* stash, const float* dy, float* dw) {
  for (int kh = 0; kh < s.h.kernel; ++kh) {
    for (int kw = 0; kw < s.w.kernel; ++kw) {
      int o = 0;
      for (; o + 4 <= s.out_channels; o += 4) {
        WeightGradientTile<P, 4>(s, stash, dy + o, kh, kw, dw + o);
      }
      for (; o < s.out_channels; ++o) {
        WeightGradientTile<P, 1>(s, stash, dy + o, kh, kw, dw + o);
      }
      dw += s.out_channels;
    }
  }
}

}  // namespace

void Conv2dForward(const ConvShape& shape, const float* x, const Weights& w, const float* bias,
                   float* y) {
  Conv2dForwardPart(shape, shape.out_channels, x, w, bias, y);
}

void Conv2dForwardPart(const ConvShape& shape, int n, const float* x, const Weights& w,
                       const float* bias, float* y) {
  ConvShape s = Flatten(shape);
  s.out_channels = n;
  Block block;
  const int taps = s.h.kernel * s.w.kernel;
  Blocks blocks(w, s.in_channels, taps * n, taps == 1);
  while (blocks.Next(&block)) {
    ForwardPass({&s, &block, x + block.first, bias, y, shape.out_channels});
  }
}

void Conv2dInputGradient(const ConvShape& shape, const float* dy, const Weights& w, float* dx) {
  Conv2dInputGradientPart(shape, shape.in_channels, dy, w, dx);
}

void Conv2dInputGradientPart(const ConvShape& shape, int n, const float* dy, const Weights& w,
                             float* dx) {
  const ConvShape s = Flatten(shape);
  Block block;
  Blocks blocks(w, n, s.h.kernel * s.w.kernel * s.out_channels, false);
  while (blocks.Next(&block)) {
    InputGradientPass({&s, &block, dy, nullptr, dx + block.first, s.in_channels});
  }
}

void Conv2dWeightGradientSelected(const ConvShape& shape, const float* stash, int n,
                                  const float* dy, float* dw) {
  const ConvShape s = Flatten(shape);
  const int plane = s.h.in * s.w.in;
  const int run = s.h.kernel * s.w.kernel * s.out_channels;
  int k = 0;
  for (; k + 4 <= n; k += 4) WeightGradientRuns<4>(s, stash + k * plane, dy, dw + k * run);
  for (; k < n; ++k) WeightGradientRuns<1>(s, stash + k * plane, dy, dw + k * run);
}

void BiasGradient(const float* dy, int pixels, int out_channels, float* dbias) {
  for (int o = 0; o < out_channels; ++o) {
    float sum = 0.0f;
    const float* d = dy + o;
    for (int p = 0; p < pixels; ++p, d += out_channels) sum += *d;
    dbias[o] += sum;
  }
}

void StashChannels(const float* x, int pixels, int in_channels, const uint16_t* channels, int n,
                   float* stash) {
  for (int k = 0; k < n; ++k) {
    const float* source = x + channels[k];
    for (int p = 0; p < pixels; ++p, source += in_channels) *stash++ = *source;
  }
}

}  // namespace math
}  // namespace medyate
