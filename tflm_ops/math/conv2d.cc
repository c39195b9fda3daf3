#include "tflm_ops/math/conv2d.h"

#include "tflm_ops/math/fp_exact.h"
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

// What the tiles of one pass have in common.
struct Pass {
  const ConvShape* shape;
  const float* in;           // x or dy.
  const float* weights;      // w or delta.
  const float* bias;         // Forward only; may be null.
  const uint16_t* channels;  // Delta passes only.
  int depth;                 // Runs in `weights`: I or N.
  float* out;                // y or dx.
};

// P output pixels of one row, whose taps are the same, by Q output channels from `o`.
template <int P, int Q, bool kDelta>
MEDYATE_NO_INLINE void ForwardTile(const Pass& pass, const Taps& th, const Taps& tw, int o,
                                   float* y) {
  const ConvShape& s = *pass.shape;
  const int run = s.h.kernel * s.w.kernel * s.out_channels;
  const int x_row = s.w.stride * s.in_channels;
  Tile<P, Q> sums;
  if (kDelta) {
    sums = Tile<P, Q>::Load(y + o, s.out_channels);
  } else {
    sums = Tile<P, Q>::All(pass.bias ? Vec<Q>::Load(pass.bias + o) : Vec<Q>::Zero());
  }
  for (int a = 0; a < th.count; ++a) {
    const int ih = th.at + a * th.at_step;
    const float* x = pass.in + (ih * s.w.in + tw.at) * s.in_channels;
    const float* w = pass.weights + ((th.first + a) * s.w.kernel + tw.first) * s.out_channels + o;
    if (!kDelta && s.in_channels == 1 && tw.at_step == 1) {
      // One input channel: the taps of a row lie side by side, and so do their weights.
      AddOuterProducts<P, Q>(x, x_row, 1, w, s.out_channels, tw.count, &sums);
      continue;
    }
    for (int b = 0; b < tw.count; ++b) {
      if (kDelta) {
        AddSelectedOuterProducts<P, Q>(x, x_row, pass.channels, w, run, pass.depth, &sums);
      } else {
        AddOuterProducts<P, Q>(x, x_row, 1, w, run, pass.depth, &sums);
      }
      x += tw.at_step * s.in_channels;
      w += s.out_channels;
    }
  }
  sums.Store(y + o, s.out_channels);
}

template <int P, bool kDelta>
void ForwardPixels(const Pass& pass, const Taps& th, const Taps& tw, float* y) {
  const int out_channels = pass.shape->out_channels;
  int o = 0;
  for (; o + 4 <= out_channels; o += 4) ForwardTile<P, 4, kDelta>(pass, th, tw, o, y);
  for (; o < out_channels; ++o) ForwardTile<P, 1, kDelta>(pass, th, tw, o, y);
}

// The same where the kernel has one tap, at x: a loop over output channels with nothing else in it.
template <int P, int Q, bool kDelta>
MEDYATE_NO_INLINE int PointwiseForward(const Pass& pass, const float* x, int o, float* y) {
  const int in_channels = pass.shape->in_channels;
  const int out_channels = pass.shape->out_channels;
  for (; o + Q <= out_channels; o += Q) {
    const float* w = pass.weights + o;
    Tile<P, Q> sums;
    if (kDelta) {
      sums = Tile<P, Q>::Load(y + o, out_channels);
      AddSelectedOuterProducts<P, Q>(x, in_channels, pass.channels, w, out_channels, pass.depth,
                                     &sums);
    } else {
      sums = Tile<P, Q>::All(pass.bias ? Vec<Q>::Load(pass.bias + o) : Vec<Q>::Zero());
      AddOuterProducts<P, Q>(x, in_channels, 1, w, out_channels, pass.depth, &sums);
    }
    sums.Store(y + o, out_channels);
  }
  return o;
}

template <bool kDelta>
void PointwiseForwardPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  const float* x = pass.in;
  float* y = pass.out;
  int pixels = s.w.out;
  for (; pixels >= 4; pixels -= 4) {
    PointwiseForward<4, 1, kDelta>(pass, x, PointwiseForward<4, 4, kDelta>(pass, x, 0, y), y);
    x += 4 * s.in_channels;
    y += 4 * s.out_channels;
  }
  for (; pixels > 0; --pixels) {
    PointwiseForward<1, 1, kDelta>(pass, x, PointwiseForward<1, 4, kDelta>(pass, x, 0, y), y);
    x += s.in_channels;
    y += s.out_channels;
  }
}

template <bool kDelta>
void ForwardPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  if (IsPointwise(s)) return PointwiseForwardPass<kDelta>(pass);
  for (int oh = 0; oh < s.h.out; ++oh) {
    const Taps th = TapsOfOutput(s.h, oh);
    for (int ow = 0; ow < s.w.out;) {
      float* y = pass.out + (oh * s.w.out + ow) * s.out_channels;
      const Taps tw = TapsOfOutput(s.w, ow);
      if (FourOutputsShareTaps(s.w, ow, tw)) {
        ForwardPixels<4, kDelta>(pass, th, tw, y);
        ow += 4;
      } else {
        ForwardPixels<1, kDelta>(pass, th, tw, y);
        ow += 1;
      }
    }
  }
}

// P input pixels of one row, `stride` apart so that their taps are the same, by Q input channels:
// from `i` on, or the drawn ones from the i-th on.
template <int P, int Q, bool kDelta>
MEDYATE_NO_INLINE void InputGradientTile(const Pass& pass, const Taps& th, const Taps& tw, int i,
                                         float* dx) {
  const ConvShape& s = *pass.shape;
  const int run = s.h.kernel * s.w.kernel * s.out_channels;
  const int dx_row = s.w.stride * s.in_channels;
  Tile<P, Q> sums = Tile<P, Q>::All(Vec<Q>::Zero());
  if (kDelta) sums = Tile<P, Q>::LoadAt(dx, dx_row, pass.channels + i);
  for (int a = 0; a < th.count; ++a) {
    const int oh = th.at + a * th.at_step;
    const float* dy = pass.in + (oh * s.w.out + tw.at) * s.out_channels;
    const float* w = pass.weights + i * run +
                     ((th.first + a * th.step) * s.w.kernel + tw.first) * s.out_channels;
    for (int b = 0; b < tw.count; ++b) {
      AddDotProducts<P, Q>(dy, s.out_channels, w, run, s.out_channels, &sums);
      dy += tw.at_step * s.out_channels;
      w += tw.step * s.out_channels;
    }
  }
  if (kDelta) {
    sums.StoreAt(dx, dx_row, pass.channels + i);
  } else {
    sums.Store(dx + i, dx_row);
  }
}

template <int P, bool kDelta>
void InputGradientPixels(const Pass& pass, const Taps& th, const Taps& tw, float* dx) {
  int i = 0;
  for (; i + 4 <= pass.depth; i += 4) InputGradientTile<P, 4, kDelta>(pass, th, tw, i, dx);
  for (; i < pass.depth; ++i) InputGradientTile<P, 1, kDelta>(pass, th, tw, i, dx);
}

// The same where the kernel has one tap, at dy: a loop over input channels.
template <int P, int Q, bool kDelta>
MEDYATE_NO_INLINE int PointwiseInputGradient(const Pass& pass, const float* dy, int i, float* dx) {
  const int in_channels = pass.shape->in_channels;
  const int out_channels = pass.shape->out_channels;
  for (; i + Q <= pass.depth; i += Q) {
    Tile<P, Q> sums = Tile<P, Q>::All(Vec<Q>::Zero());
    if (kDelta) sums = Tile<P, Q>::LoadAt(dx, in_channels, pass.channels + i);
    AddDotProducts<P, Q>(dy, out_channels, pass.weights + i * out_channels, out_channels,
                         out_channels, &sums);
    if (kDelta) {
      sums.StoreAt(dx, in_channels, pass.channels + i);
    } else {
      sums.Store(dx + i, in_channels);
    }
  }
  return i;
}

template <bool kDelta>
void PointwiseInputGradientPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  const float* dy = pass.in;
  float* dx = pass.out;
  int pixels = s.w.in;
  for (; pixels >= 4; pixels -= 4) {
    const int done = PointwiseInputGradient<4, 4, kDelta>(pass, dy, 0, dx);
    PointwiseInputGradient<4, 1, kDelta>(pass, dy, done, dx);
    dy += 4 * s.out_channels;
    dx += 4 * s.in_channels;
  }
  for (; pixels > 0; --pixels) {
    const int done = PointwiseInputGradient<1, 4, kDelta>(pass, dy, 0, dx);
    PointwiseInputGradient<1, 1, kDelta>(pass, dy, done, dx);
    dy += s.out_channels;
    dx += s.in_channels;
  }
}

template <bool kDelta>
void InputGradientPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  if (IsPointwise(s)) return PointwiseInputGradientPass<kDelta>(pass);
  const int stride = s.w.stride;
  for (int ih = 0; ih < s.h.in; ++ih) {
    const Taps th = TapsOfInput(s.h, ih);
    for (int phase = 0; phase < stride && phase < s.w.in; ++phase) {
      for (int iw = phase; iw < s.w.in;) {
        float* dx = pass.out + (ih * s.w.in + iw) * s.in_channels;
        const Taps tw = TapsOfInput(s.w, iw);
        if (FourInputsShareTaps(s.w, iw, tw)) {
          InputGradientPixels<4, kDelta>(pass, th, tw, dx);
          iw += 4 * stride;
        } else {
          InputGradientPixels<1, kDelta>(pass, th, tw, dx);
          iw += stride;
        }
      }
    }
  }
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
  Tile<P, Q> sums = Tile<P, Q>::All(Vec<Q>::Zero());
  for (int oh = rows.begin; oh < rows.end && count > 0; ++oh) {
    const int ih = oh * s.h.stride - s.h.pad + kh * s.h.dilation;
    const float* x = stash + ih * s.w.in + iw;
    const float* d = dy + (oh * s.w.out + columns.begin) * s.out_channels;
    if (s.w.stride == 1) {
      AddOuterProducts<P, Q>(x, plane, 1, d, s.out_channels, count, &sums);
    } else {
      AddOuterProducts<P, Q>(x, plane, s.w.stride, d, s.out_channels, count, &sums);
    }
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

void Conv2dForward(const ConvShape& shape, const float* x, const float* w, const float* bias,
                   float* y) {
  const ConvShape s = Flatten(shape);
  ForwardPass<false>({&s, x, w, bias, nullptr, s.in_channels, y});
}

void Conv2dForwardDelta(const ConvShape& shape, const float* x, const uint16_t* channels, int n,
                        const float* delta, float* y) {
  if (n == 0) return;
  const ConvShape s = Flatten(shape);
  ForwardPass<true>({&s, x, delta, nullptr, channels, n, y});
}

void Conv2dInputGradient(const ConvShape& shape, const float* dy, const float* w, float* dx) {
  const ConvShape s = Flatten(shape);
  InputGradientPass<false>({&s, dy, w, nullptr, nullptr, s.in_channels, dx});
}

void Conv2dInputGradientDelta(const ConvShape& shape, const float* dy, const uint16_t* channels,
                              int n, const float* delta, float* dx) {
  if (n == 0) return;
  const ConvShape s = Flatten(shape);
  InputGradientPass<true>({&s, dy, delta, nullptr, channels, n, dx});
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
