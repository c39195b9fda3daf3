#include "tflm_ops/math/conv2d_transpose.h"

#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/strips.h"
#include "tflm_ops/math/tile.h"

namespace medyate {
namespace math {
namespace {

// What the tiles of one pass have in common: it takes the channels read of a block.
struct Pass {
  const ConvShape* shape;
  const Block* block;
  const float* in;    // x from the block's first channel on, or dy.
  const float* bias;  // Forward only; may be null.
  float* out;         // y, or dx from the block's first channel on.
};

// P positions of y by Q of its channels from `o`.
template <int P, int Q>
MEDYATE_NO_INLINE void ForwardTile(const Pass& pass, const Strip& strip, int o) {
  const ConvShape& s = *pass.shape;
  const Block& block = *pass.block;
  const int inputs = s.out_channels;
  const int outputs = s.in_channels;
  const int y_step = strip.step * outputs;
  float* y = pass.out + strip.first * outputs + o;
  const float* x_row = pass.in + strip.read * inputs;
  int w_row = (strip.th.first * s.w.kernel + strip.tw.first) * outputs + o;
  Tile<P, Q> sums;
  if (block.first > 0) {
    sums = Tile<P, Q>::Load(y, y_step);
  } else {
    sums = Tile<P, Q>::All(pass.bias ? Vec<Q>::Load(pass.bias + o) : Vec<Q>::Zero());
  }
  for (int a = 0; a < strip.th.count; ++a) {
    const float* x = x_row;
    int w = w_row;
    for (int b = 0; b < strip.tw.count; ++b) {
      AddOuterProductsOfRuns<P, Q>(Cursor<P>::Strided(x, strip.read_step * inputs), block.runs, w,
                                   block.count, &sums);
      x += strip.tw.at_step * inputs;
      w += strip.tw.step * outputs;
    }
    x_row += strip.th.at_step * s.w.out * inputs;
    w_row += strip.th.step * s.w.kernel * outputs;
  }
  sums.Store(y, y_step);
}

template <int P>
void ForwardTiles(const Pass& pass, const Strip& strip) {
  int o = 0;
  for (; o + 4 <= pass.shape->in_channels; o += 4) ForwardTile<P, 4>(pass, strip, o);
  for (; o < pass.shape->in_channels; ++o) ForwardTile<P, 1>(pass, strip, o);
}

// P positions of dx by Q of its channels from the block's i-th on.
template <int P, int Q>
MEDYATE_NO_INLINE void InputGradientTile(const Pass& pass, const Strip& strip, int i) {
  const ConvShape& s = *pass.shape;
  const Taps& th = strip.th;
  const Taps& tw = strip.tw;
  const int inputs = s.out_channels;
  const int outputs = s.in_channels;
  const float* dy_row = pass.in + strip.read * outputs;
  Cursor<Q> w_row = Cursor<Q>::Of(pass.block->runs + i);
  w_row.Advance((th.first * s.w.kernel + tw.first) * outputs);
  Tile<P, Q> sums = Tile<P, Q>::All(Vec<Q>::Zero());
  for (int a = 0; a < th.count; ++a) {
    const float* dy = dy_row;
    Cursor<Q> w = w_row;
    for (int b = 0; b < tw.count; ++b) {
      AddDotProducts<P, Q>(Cursor<P>::Strided(dy, strip.read_step * outputs), w, outputs, &sums);
      dy += tw.at_step * outputs;
      w.Advance(tw.step * outputs);
    }
    dy_row += th.at_step * s.w.in * outputs;
    w_row.Advance(th.step * s.w.kernel * outputs);
  }
  sums.Store(pass.out + strip.first * inputs + i, strip.step * inputs);
}

template <int P>
void InputGradientTiles(const Pass& pass, const Strip& strip) {
  int i = 0;
  for (; i + 4 <= pass.block->count; i += 4) InputGradientTile<P, 4>(pass, strip, i);
  for (; i < pass.block->count; ++i) InputGradientTile<P, 1>(pass, strip, i);
}

// P stashed channels by Q channels of dy of the gradient of the weights at tap (kh, kw).
template <int P, int Q>
MEDYATE_NO_INLINE void WeightGradientTile(const ConvShape& s, const float* stash, const float* dy,
                                          int kh, int kw, float* dw) {
  const Range rows = OutputsOfTap(s.h, kh);
  const Range columns = OutputsOfTap(s.w, kw);
  const int plane = s.h.out * s.w.out;
  const int run = s.h.kernel * s.w.kernel * s.in_channels;
  const int count = columns.end - columns.begin;
  const int oh = rows.begin * s.h.stride - s.h.pad + kh * s.h.dilation;
  const int ow = columns.begin * s.w.stride - s.w.pad + kw * s.w.dilation;
  const float* x = stash + rows.begin * s.w.out + columns.begin;
  const float* d = dy + (oh * s.w.in + ow) * s.in_channels;
  Tile<P, Q> sums = Tile<P, Q>::All(Vec<Q>::Zero());
  for (int row = count > 0 ? rows.end - rows.begin : 0; row > 0; --row) {
    AddOuterProducts<P, Q>(Cursor<P>::Strided(x, plane), 1, d, s.w.stride * s.in_channels, count,
                           &sums);
    x += s.w.out;
    d += s.h.stride * s.w.in * s.in_channels;
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
      for (; o + 4 <= s.in_channels; o += 4) {
        WeightGradientTile<P, 4>(s, stash, dy + o, kh, kw, dw + o);
      }
      for (; o < s.in_channels; ++o) {
        WeightGradientTile<P, 1>(s, stash, dy + o, kh, kw, dw + o);
      }
      dw += s.in_channels;
    }
  }
}

}  // namespace

void Conv2dTransposeForward(const ConvShape& s, const float* x, const Weights& w, const float* bias,
                            float* y) {
  Block block;
  Blocks blocks(w, s.out_channels, s.h.kernel * s.w.kernel * s.in_channels, false);
  while (blocks.Next(&block)) {
    const Pass pass = {&s, &block, x + block.first, bias, y};
    ForEachInputStrip(s.h, s.w, false, [&pass](const Strip& strip) {
      strip.size == 4 ? ForwardTiles<4>(pass, strip) : ForwardTiles<1>(pass, strip);
    });
  }
}

void Conv2dTransposeInputGradient(const ConvShape& s, const float* dy, const Weights& w,
                                  float* dx) {
  Block block;
  Blocks blocks(w, s.out_channels, s.h.kernel * s.w.kernel * s.in_channels, false);
  while (blocks.Next(&block)) {
    const Pass pass = {&s, &block, dy, nullptr, dx + block.first};
    ForEachOutputStrip(s.h, s.w, false, [&pass](const Strip& strip) {
      strip.size == 4 ? InputGradientTiles<4>(pass, strip) : InputGradientTiles<1>(pass, strip);
    });
  }
}

void Conv2dTransposeWeightGradientSelected(const ConvShape& s, const float* stash, int n,
                                           const float* dy, float* dw) {
  const int plane = s.h.out * s.w.out;
  const int run = s.h.kernel * s.w.kernel * s.in_channels;
  int k = 0;
  for (; k + 4 <= n; k += 4) WeightGradientRuns<4>(s, stash + k * plane, dy, dw + k * run);
  for (; k < n; ++k) WeightGradientRuns<1>(s, stash + k * plane, dy, dw + k * run);
}

}  // namespace math
}  // namespace medyate
