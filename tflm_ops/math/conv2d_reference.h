#ifndef TFLM_OPS_MATH_CONV2D_REFERENCE_H_
#define TFLM_OPS_MATH_CONV2D_REFERENCE_H_

// The naive twins of conv2d.h: the equations as loops, in the same order of summation, so that the
// optimized functions must agree with them bit for bit. Letters and arguments as in conv2d.h.

#include <stdint.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/shape.h"
#include "tflm_ops/math/weights.h"

namespace medyate {
namespace math {
namespace reference {

// The input position that output position `out` reads with tap `k`, or -1 for padding.
inline int InputOf(const Axis& a, int out, int k) {
  const int in = out * a.stride - a.pad + k * a.dilation;
  return in >= 0 && in < a.in ? in : -1;
}

// The output position that reads input position `in` with tap `k`, or -1 if none does.
inline int OutputOf(const Axis& a, int in, int k) {
  const int reach = in + a.pad - k * a.dilation;
  if (reach < 0 || reach % a.stride != 0) return -1;
  return reach / a.stride < a.out ? reach / a.stride : -1;
}

// Offset of weight (channel, kh, kw, o).
inline int WeightAt(const ConvShape& s, int channel, int kh, int kw, int o) {
  return ((channel * s.h.kernel + kh) * s.w.kernel + kw) * s.out_channels + o;
}

// Adds to a sum one output's share of the input channels [first, last).
inline float ConvolveOutput(const ConvShape& s, const float* x, int first, int last, const float* w,
                            int oh, int ow, int o, float sum) {
  for (int kh = 0; kh < s.h.kernel; ++kh) {
    const int ih = InputOf(s.h, oh, kh);
    for (int kw = 0; kw < s.w.kernel; ++kw) {
      const int iw = InputOf(s.w, ow, kw);
      if (ih < 0 || iw < 0) continue;
      for (int i = first; i < last; ++i) {
        sum += x[(ih * s.w.in + iw) * s.in_channels + i] * w[WeightAt(s, i, kh, kw, o)];
      }
    }
  }
  return sum;
}

inline void Conv2dForward(const ConvShape& s, const float* x, const float* w, const float* bias,
                          float* y) {
  for (int oh = 0; oh < s.h.out; ++oh) {
    for (int ow = 0; ow < s.w.out; ++ow) {
      for (int o = 0; o < s.out_channels; ++o) {
        float sum = bias ? bias[o] : 0.0f;
        for (int first = 0; first < s.in_channels; first += kBlockChannels) {
          const int end = first + kBlockChannels;
          const int last = end < s.in_channels ? end : s.in_channels;
          sum = ConvolveOutput(s, x, first, last, w, oh, ow, o, sum);
        }
        y[(oh * s.w.out + ow) * s.out_channels + o] = sum;
      }
    }
  }
}

// The gradient of input (ih, iw) through the weights of channel i.
inline float ConvolveInput(const ConvShape& s, const float* dy, const float* w, int i, int ih,
                           int iw) {
  float sum = 0.0f;
  for (int kh = 0; kh < s.h.kernel; ++kh) {
    const int oh = OutputOf(s.h, ih, kh);
    for (int kw = 0; kw < s.w.kernel; ++kw) {
      const int ow = OutputOf(s.w, iw, kw);
      if (oh < 0 || ow < 0) continue;
      for (int o = 0; o < s.out_channels; ++o) {
        sum += dy[(oh * s.w.out + ow) * s.out_channels + o] * w[WeightAt(s, i, kh, kw, o)];
      }
    }
  }
  return sum;
}

inline void Conv2dInputGradient(const ConvShape& s, const float* dy, const float* w, float* dx) {
  for (int ih = 0; ih < s.h.in; ++ih) {
    for (int iw = 0; iw < s.w.in; ++iw) {
      for (int i = 0; i < s.in_channels; ++i) {
        dx[(ih * s.w.in + iw) * s.in_channels + i] = ConvolveInput(s, dy, w, i, ih, iw);
      }
    }
  }
}

inline void Conv2dWeightGradientSelected(const ConvShape& s, const float* stash, int n,
                                         const float* dy, float* dw) {
  for (int k = 0; k < n; ++k) {
    for (int kh = 0; kh < s.h.kernel; ++kh) {
      for (int kw = 0; kw < s.w.kernel; ++kw) {
        for (int o = 0; o < s.out_channels; ++o) {
          float sum = 0.0f;
          for (int oh = 0; oh < s.h.out; ++oh) {
            const int ih = InputOf(s.h, oh, kh);
            for (int ow = 0; ow < s.w.out; ++ow) {
              const int iw = InputOf(s.w, ow, kw);
              if (ih < 0 || iw < 0) continue;
              sum += stash[(k * s.h.in + ih) * s.w.in + iw] *
                     dy[(oh * s.w.out + ow) * s.out_channels + o];
            }
          }
          dw[WeightAt(s, k, kh, kw, o)] += sum;
        }
      }
    }
  }
}

inline void BiasGradient(const float* dy, int pixels, int out_channels, float* dbias) {
  for (int o = 0; o < out_channels; ++o) {
    float sum = 0.0f;
    for (int p = 0; p < pixels; ++p) sum += dy[p * out_channels + o];
    dbias[o] += sum;
  }
}

}  // namespace reference
}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_CONV2D_REFERENCE_H_
