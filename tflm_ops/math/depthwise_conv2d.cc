#include "tflm_ops/math/depthwise_conv2d.h"

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/tile.h"

namespace medyate {
namespace math {
namespace {

// What the pixels of one pass have in common.
struct Pass {
  const ConvShape* shape;
  int multiplier;            // M.
  const float* in;           // x or dy.
  const float* weights;      // w or delta.
  const float* bias;         // Forward only; may be null.
  const uint16_t* channels;  // The channels of the runs in `weights`; null for all of them.
  int depth;                 // Runs in `weights`: I or N.
  float* out;                // y or dx.
};

// Q channels side by side: contiguous ones, or drawn ones.
template <int Q, bool kDelta, typename T>
MEDYATE_ALWAYS_INLINE Cursor<Q, T> ChannelsAt(T* p, const Pass& pass, int k) {
  return kDelta ? Cursor<Q, T>::At(p, pass.channels + k) : Cursor<Q, T>::Strided(p + k, 1);
}

// sums[q] += sum over k < count of a[q][k * a_step] * b[q][k * b_step].
template <int Q>
MEDYATE_ALWAYS_INLINE void AddTaps(Cursor<Q> a, int a_step, Cursor<Q> b, int b_step, int count,
                                   Vec<Q>* sums) {
  for (; count > 0; --count) {
    sums->AddProduct(a.Load(), b.Load());
    a.Advance(a_step);
    b.Advance(b_step);
  }
}

// Where the sums of Q channels of a pixel start: what is there already, the bias, or 0.
template <int Q, bool kDelta>
MEDYATE_ALWAYS_INLINE Vec<Q> Start(const Pass& pass, const Cursor<Q, float>& out, int k) {
  if (kDelta) return out.Load();
  return pass.bias ? Vec<Q>::Load(pass.bias + k) : Vec<Q>::Zero();
}

// One pixel (M = 1): sums over the taps of in * weights, Q channels at a time from the k-th run on.
// Forward and backward differ only in the taps. Returns where it stopped.
//
// Args:
//   kColumns: 1 or 2 if tw.count is; 3 if it is and tw.step is 1; 0 for anything.
//   columns: width of `in`.
template <int Q, int kColumns, bool kDelta>
MEDYATE_NO_INLINE int AddPixel(const Pass& pass, const Taps& th, const Taps& tw, int columns, int k,
                               float* out) {
  const ConvShape& s = *pass.shape;
  const int run = s.h.kernel * s.w.kernel;
  const int step = tw.at_step * s.in_channels;
  const int in_row = th.at_step * columns * s.in_channels;
  const int w_row = th.step * s.w.kernel;
  const int tw_step = kColumns == 3 ? 1 : tw.step;
  const float* first = pass.in + (th.at * columns + tw.at) * s.in_channels;
  const float* weights = pass.weights + th.first * s.w.kernel + tw.first;
  for (; k + Q <= pass.depth; k += Q) {
    const Cursor<Q, float> sums_at = ChannelsAt<Q, kDelta>(out, pass, k);
    Vec<Q> sums = Start<Q, kDelta>(pass, sums_at, k);
    Cursor<Q> in = ChannelsAt<Q, kDelta>(first, pass, k);
    Cursor<Q> w = Cursor<Q>::Strided(weights + k * run, run);
    for (int a = th.count; a > 0; --a) {
      if (kColumns == 0) {
        AddTaps<Q>(in, step, w, tw.step, tw.count, &sums);
      } else {
        Cursor<Q> x = in;
        sums.AddProduct(x.Load(), w.Load());
        if (kColumns > 1) {
          x.Advance(step);
          sums.AddProduct(x.Load(), w.Load(tw_step));
        }
        if (kColumns > 2) {
          x.Advance(step);
          sums.AddProduct(x.Load(), w.Load(2 * tw_step));
        }
      }
      in.Advance(in_row);
      w.Advance(w_row);
    }
    sums_at.Store(sums);
  }
  return k;
}

// The same for all nine taps of a 3x3 kernel, four channels at a time.
template <bool kDelta>
MEDYATE_NO_INLINE int AddPixel3x3(const Pass& pass, const Taps& th, const Taps& tw, int columns,
                                  float* out) {
  const int channels = pass.shape->in_channels;
  const int step = tw.at_step * channels;
  const int turn = th.at_step * columns * channels - 2 * step;  // To the next row.
  const float* first = pass.in + (th.at * columns + tw.at) * channels;
  int k = 0;
  for (; k + 4 <= pass.depth; k += 4) {
    const Cursor<4, float> sums_at = ChannelsAt<4, kDelta>(out, pass, k);
    Vec<4> sums = Start<4, kDelta>(pass, sums_at, k);
    Cursor<4> in = ChannelsAt<4, kDelta>(first, pass, k);
    const Cursor<4> w = Cursor<4>::Strided(pass.weights + k * 9, 9);
    sums.AddProduct(in.Load(), w.Load(0));
    in.Advance(step);
    sums.AddProduct(in.Load(), w.Load(1));
    in.Advance(step);
    sums.AddProduct(in.Load(), w.Load(2));
    in.Advance(turn);
    sums.AddProduct(in.Load(), w.Load(3));
    in.Advance(step);
    sums.AddProduct(in.Load(), w.Load(4));
    in.Advance(step);
    sums.AddProduct(in.Load(), w.Load(5));
    in.Advance(turn);
    sums.AddProduct(in.Load(), w.Load(6));
    in.Advance(step);
    sums.AddProduct(in.Load(), w.Load(7));
    in.Advance(step);
    sums.AddProduct(in.Load(), w.Load(8));
    sums_at.Store(sums);
  }
  return k;
}

// One pixel of all channels (M = 1).
template <bool kDelta>
void AddPixels(const Pass& pass, const Taps& th, const Taps& tw, int columns, float* out) {
  const ConvShape& s = *pass.shape;
  int k = 0;
  if (s.h.kernel == 3 && s.w.kernel == 3 && th.count == 3 && tw.count == 3) {
    k = AddPixel3x3<kDelta>(pass, th, tw, columns, out);
  } else if (tw.count == 1) {  // The edges of a map, and going back over a stride.
    k = AddPixel<4, 1, kDelta>(pass, th, tw, columns, k, out);
  } else if (tw.count == 2) {
    k = AddPixel<4, 2, kDelta>(pass, th, tw, columns, k, out);
  } else if (tw.count == 3 && tw.step == 1) {
    k = AddPixel<4, 3, kDelta>(pass, th, tw, columns, k, out);
  } else {
    k = AddPixel<4, 0, kDelta>(pass, th, tw, columns, k, out);
  }
  AddPixel<1, 0, kDelta>(pass, th, tw, columns, k, out);
}

// The same for any M: channel by channel, plainly.
MEDYATE_NO_INLINE void ForwardPixelMultiplied(const Pass& pass, const Taps& th, const Taps& tw,
                                              int k, float* y) {
  const ConvShape& s = *pass.shape;
  const int i = pass.channels ? pass.channels[k] : k;
  for (int m = 0; m < pass.multiplier; ++m) {
    const int o = i * pass.multiplier + m;
    float sum = y[o];
    for (int a = 0; a < th.count; ++a) {
      const float* x = pass.in + ((th.at + a * th.at_step) * s.w.in + tw.at) * s.in_channels + i;
      const int tap = (k * s.h.kernel + th.first + a) * s.w.kernel + tw.first;
      const float* w = pass.weights + tap * pass.multiplier + m;
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
  const int i = pass.channels ? pass.channels[k] : k;
  float sum = dx[i];
  for (int a = 0; a < th.count; ++a) {
    for (int b = 0; b < tw.count; ++b) {
      const int pixel = (th.at + a * th.at_step) * s.w.out + tw.at + b * tw.at_step;
      const float* dy = pass.in + pixel * s.out_channels + i * pass.multiplier;
      const int kh = th.first + a * th.step;
      const int kw = tw.first + b * tw.step;
      const int tap = (k * s.h.kernel + kh) * s.w.kernel + kw;
      const float* w = pass.weights + tap * pass.multiplier;
      for (int m = 0; m < pass.multiplier; ++m) sum += dy[m] * w[m];
    }
  }
  dx[i] = sum;
}

template <bool kDelta>
void ForwardPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  float* y = pass.out;
  for (int oh = 0; oh < s.h.out; ++oh) {
    const Taps th = TapsOfOutput(s.h, oh);
    for (int ow = 0; ow < s.w.out; ++ow, y += s.out_channels) {
      const Taps tw = TapsOfOutput(s.w, ow);
      if (pass.multiplier == 1) {
        AddPixels<kDelta>(pass, th, tw, s.w.in, y);
        continue;
      }
      for (int o = 0; o < s.out_channels && !kDelta; ++o) y[o] = pass.bias ? pass.bias[o] : 0.0f;
      for (int k = 0; k < pass.depth; ++k) ForwardPixelMultiplied(pass, th, tw, k, y);
    }
  }
}

template <bool kDelta>
void InputGradientPass(const Pass& pass) {
  const ConvShape& s = *pass.shape;
  float* dx = pass.out;
  for (int ih = 0; ih < s.h.in; ++ih) {
    const Taps th = TapsOfInput(s.h, ih);
    for (int iw = 0; iw < s.w.in; ++iw, dx += s.in_channels) {
      const Taps tw = TapsOfInput(s.w, iw);
      if (pass.multiplier == 1) {
        AddPixels<kDelta>(pass, th, tw, s.w.out, dx);
        continue;
      }
      for (int i = 0; i < s.in_channels && !kDelta; ++i) dx[i] = 0.0f;
      for (int k = 0; k < pass.depth; ++k) InputGradientPixelMultiplied(pass, th, tw, k, dx);
    }
  }
}

// The gradient of weight (kh, kw, m) of Q drawn channels.
//
// Args:
//   dw: that weight of the first channel; the others lie KH * KW * M further each.
template <int Q, bool kUnitStride>
MEDYATE_NO_INLINE void WeightGradientTap(const ConvShape& s, const float* stash,
                                         const float* const* dy, int kh, int kw, int m, float* dw) {
  const Range rows = OutputsOfTap(s.h, kh);
  const Range columns = OutputsOfTap(s.w, kw);
  const int ih = rows.begin * s.h.stride - s.h.pad + kh * s.h.dilation;
  const int iw = columns.begin * s.w.stride - s.w.pad + kw * s.w.dilation;
  const int count = columns.end - columns.begin;
  const int x_step = kUnitStride ? 1 : s.w.stride;
  const int x_turn = s.h.stride * s.w.in - count * x_step;  // To the next row.
  const int dy_turn = (s.w.out - count) * s.out_channels;
  Cursor<Q> x = Cursor<Q>::Strided(stash + ih * s.w.in + iw, s.h.in * s.w.in);
  Cursor<Q> d = Cursor<Q>::Of(dy);
  d.Advance((rows.begin * s.w.out + columns.begin) * s.out_channels + m);
  Vec<Q> sums = Vec<Q>::Zero();
  for (int row = count > 0 ? rows.end - rows.begin : 0; row > 0; --row) {
    for (int c = count; c > 0; --c) {
      sums.AddProduct(x.Load(), d.Load());
      x.Advance(x_step);
      d.Advance(s.out_channels);
    }
    x.Advance(x_turn);
    d.Advance(dy_turn);
  }
  const Cursor<Q, float> out =
      Cursor<Q, float>::Strided(dw, s.h.kernel * s.w.kernel * (s.out_channels / s.in_channels));
  Vec<Q> total = out.Load();
  total.Add(sums);
  out.Store(total);
}

// Q drawn channels: all their weights.
template <int Q>
void WeightGradientRuns(const ConvShape& s, const float* stash, const uint16_t* channels,
                        const float* dy, float* dw) {
  const int multiplier = s.out_channels / s.in_channels;
  const float* outputs[Q];
  for (int q = 0; q < Q; ++q) outputs[q] = dy + channels[q] * multiplier;
  for (int kh = 0; kh < s.h.kernel; ++kh) {
    for (int kw = 0; kw < s.w.kernel; ++kw) {
      for (int m = 0; m < multiplier; ++m) {
        if (s.w.stride == 1) {
          WeightGradientTap<Q, true>(s, stash, outputs, kh, kw, m, dw++);
        } else {
          WeightGradientTap<Q, false>(s, stash, outputs, kh, kw, m, dw++);
        }
      }
    }
  }
}

}  // namespace

void DepthwiseConv2dForward(const ConvShape& shape, const float* x, const float* w,
                            const float* bias, float* y) {
  const int multiplier = shape.out_channels / shape.in_channels;
  ForwardPass<false>({&shape, multiplier, x, w, bias, nullptr, shape.in_channels, y});
}

void DepthwiseConv2dForwardDelta(const ConvShape& shape, const float* x, const uint16_t* channels,
                                 int n, const float* delta, float* y) {
  if (n == 0) return;
  const int multiplier = shape.out_channels / shape.in_channels;
  ForwardPass<true>({&shape, multiplier, x, delta, nullptr, channels, n, y});
}

void DepthwiseConv2dInputGradient(const ConvShape& shape, const float* dy, const float* w,
                                  float* dx) {
  const int multiplier = shape.out_channels / shape.in_channels;
  InputGradientPass<false>({&shape, multiplier, dy, w, nullptr, nullptr, shape.in_channels, dx});
}

void DepthwiseConv2dInputGradientDelta(const ConvShape& shape, const float* dy,
                                       const uint16_t* channels, int n, const float* delta,
                                       float* dx) {
  if (n == 0) return;
  const int multiplier = shape.out_channels / shape.in_channels;
  InputGradientPass<true>({&shape, multiplier, dy, delta, nullptr, channels, n, dx});
}

void DepthwiseConv2dWeightGradientSelected(const ConvShape& shape, const float* stash,
                                           const uint16_t* channels, int n, const float* dy,
                                           float* dw) {
  const int plane = shape.h.in * shape.w.in;
  const int run = shape.h.kernel * shape.w.kernel * (shape.out_channels / shape.in_channels);
  int k = 0;
  for (; k + 4 <= n; k += 4) {
    WeightGradientRuns<4>(shape, stash + k * plane, channels + k, dy, dw + k * run);
  }
  for (; k < n; ++k) {
    WeightGradientRuns<1>(shape, stash + k * plane, channels + k, dy, dw + k * run);
  }
}

}  // namespace math
}  // namespace medyate
