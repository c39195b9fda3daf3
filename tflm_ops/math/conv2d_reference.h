#ifndef TFLM_OPS_MATH_CONV2D_REFERENCE_H_
#define TFLM_OPS_MATH_CONV2D_REFERENCE_H_

// The naive twins of conv2d.h: the equations as loops, in the same order of summation, so that the
// optimized functions must agree with them bit for bit. Letters and arguments as in conv2d.h.

#include <stdint.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/shape.h"

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

// Offset of weight (channel or run, kh, kw, o).
inline int WeightAt(const ConvShape& s, int channel, int kh, int kw, int o) {
  return ((channel * s.h.kernel + kh) * s.w.kernel + kw) * s.out_channels + o;
}

// Adds to *sum one output; `channels` may be null for "all".
inline void ConvolveOutput(const ConvShape& s, const float* x, const uint16_t* channels, int n,
                           const float* w, int oh, int ow, int o, float* sum) {
  for (int kh = 0; kh < s.h.kernel; ++kh) {
    const int ih = InputOf(s.h, oh, kh);
    for (int kw = 0; kw < s.w.kernel; ++kw) {
      const int iw = InputOf(s.w, ow, kw);
      if (ih < 0 || iw < 0) continue;
      for (int k = 0; k < n; ++k) {
        const int i = channels ? channels[k] : k;
        *sum += x[(ih * s.w.in + iw) * s.in_channels + i] * w[WeightAt(s, k, kh, kw, o)];
      }
    }
  }
}

inline void Conv2dForward(const ConvShape& s, const float* x, const float* w, const float* bias,
                          float* y) {
  for (int oh = 0; oh < s.h.out; ++oh) {
    for (int ow = 0; ow < s.w.out; ++ow) {
      for (int o = 0; o < s.out_channels; ++o) {
        float* sum = &y[(oh * s.w.out + ow) * s.out_channels + o];
        *sum = bias ? bias[o] : 0.0f;
        ConvolveOutput(s, x, nullptr, s.in_channels, w, oh, ow, o, sum);
      }
    }
  }
}

inline void Conv2dForwardDelta(const ConvShape& s, const float* x, const uint16_t* channels, int n,
                               const float* delta, float* y) {
  for (int oh = 0; oh < s.h.out; ++oh) {
    for (int ow = 0; ow < s.w.out; ++ow) {
      for (int o = 0; o < s.out_channels; ++o) {
        float* sum = &y[(oh * s.w.out + ow) * s.out_channels + o];
        ConvolveOutput(s, x, channels, n, delta, oh, ow, o, sum);
      }
    }
  }
}

// Adds to *sum the gradient of input (ih, iw) through the weights of one channel or run.
inline void ConvolveInput(const ConvShape& s, const float* dy, const float* w, int run, int ih,
                          int iw, float* sum) {
  for (int kh = 0; kh < s.h.kernel; ++kh) {
    const int oh = OutputOf(s.h, ih, kh);
    for (int kw = 0; kw < s.w.kernel; ++kw) {
      const int ow = OutputOf(s.w, iw, kw);
      if (oh < 0 || ow < 0) continue;
      for (int o = 0; o < s.out_channels; ++o) {
        *sum += dy[(oh * s.w.out + ow) * s.out_channels + o] * w[WeightAt(s, run, kh, kw, o)];
      }
    }
  }
}

inline void Conv2dInputGradient(const ConvShape& s, const float* dy, const float* w, float* dx) {
  for (int ih = 0; ih < s.h.in; ++ih) {
    for (int iw = 0; iw < s.w.in; ++iw) {
      for (int i = 0; i < s.in_channels; ++i) {
        float* sum = &dx[(ih * s.w.in + iw) * s.in_channels + i];
        *sum = 0.0f;
        ConvolveInput(s, dy, w, i, ih, iw, sum);
      }
    }
  }
}

inline void Conv2dInputGradientDelta(const ConvShape& s, const float* dy, const uint16_t* channels,
                                     int n, const float* delta, float* dx) {
  for (int ih = 0; ih < s.h.in; ++ih) {
    for (int iw = 0; iw < s.w.in; ++iw) {
      for (int k = 0; k < n; ++k) {
        float* sum = &dx[(ih * s.w.in + iw) * s.in_channels + channels[k]];
        ConvolveInput(s, dy, delta, k, ih, iw, sum);
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
