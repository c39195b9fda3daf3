#ifndef TFLM_OPS_MATH_DEPTHWISE_CONV2D_REFERENCE_H_
#define TFLM_OPS_MATH_DEPTHWISE_CONV2D_REFERENCE_H_

// The naive twins of depthwise_conv2d.h, in the same order of summation: they must agree bit for
// bit. Letters and arguments as there.

#include <stdint.h>

#include "tflm_ops/math/conv2d_reference.h"
#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/shape.h"

namespace medyate {
namespace math {
namespace reference {

// Adds to *sum output (oh, ow, m) of input channel i through the weights of `run`.
inline void DepthwiseOutput(const ConvShape& s, const float* x, const float* w, int i, int run,
                            int m, int oh, int ow, float* sum) {
  const int multiplier = s.out_channels / s.in_channels;
  for (int kh = 0; kh < s.h.kernel; ++kh) {
    for (int kw = 0; kw < s.w.kernel; ++kw) {
      const int ih = InputOf(s.h, oh, kh);
      const int iw = InputOf(s.w, ow, kw);
      if (ih < 0 || iw < 0) continue;
      *sum += x[(ih * s.w.in + iw) * s.in_channels + i] *
              w[((run * s.h.kernel + kh) * s.w.kernel + kw) * multiplier + m];
    }
  }
}

inline void DepthwiseConv2dForwardDelta(const ConvShape& s, const float* x,
                                        const uint16_t* channels, int n, const float* delta,
                                        float* y) {
  const int multiplier = s.out_channels / s.in_channels;
  for (int oh = 0; oh < s.h.out; ++oh) {
    for (int ow = 0; ow < s.w.out; ++ow) {
      for (int k = 0; k < n; ++k) {
        const int i = channels ? channels[k] : k;
        for (int m = 0; m < multiplier; ++m) {
          float* sum = &y[(oh * s.w.out + ow) * s.out_channels + i * multiplier + m];
          DepthwiseOutput(s, x, delta, i, k, m, oh, ow, sum);
        }
      }
    }
  }
}

inline void DepthwiseConv2dForward(const ConvShape& s, const float* x, const float* w,
                                   const float* bias, float* y) {
  for (int p = 0; p < s.h.out * s.w.out; ++p) {
    for (int o = 0; o < s.out_channels; ++o) y[p * s.out_channels + o] = bias ? bias[o] : 0.0f;
  }
  reference::DepthwiseConv2dForwardDelta(s, x, nullptr, s.in_channels, w, y);
}

inline void DepthwiseConv2dInputGradientDelta(const ConvShape& s, const float* dy,
                                              const uint16_t* channels, int n, const float* delta,
                                              float* dx) {
  const int multiplier = s.out_channels / s.in_channels;
  for (int ih = 0; ih < s.h.in; ++ih) {
    for (int iw = 0; iw < s.w.in; ++iw) {
      for (int k = 0; k < n; ++k) {
        const int i = channels ? channels[k] : k;
        float* sum = &dx[(ih * s.w.in + iw) * s.in_channels + i];
        for (int kh = 0; kh < s.h.kernel; ++kh) {
          for (int kw = 0; kw < s.w.kernel; ++kw) {
            const int oh = OutputOf(s.h, ih, kh);
            const int ow = OutputOf(s.w, iw, kw);
            if (oh < 0 || ow < 0) continue;
            for (int m = 0; m < multiplier; ++m) {
              *sum += dy[(oh * s.w.out + ow) * s.out_channels + i * multiplier + m] *
                      delta[((k * s.h.kernel + kh) * s.w.kernel + kw) * multiplier + m];
            }
          }
        }
      }
    }
  }
}

inline void DepthwiseConv2dInputGradient(const ConvShape& s, const float* dy, const float* w,
                                         float* dx) {
  for (int e = 0; e < s.h.in * s.w.in * s.in_channels; ++e) dx[e] = 0.0f;
  reference::DepthwiseConv2dInputGradientDelta(s, dy, nullptr, s.in_channels, w, dx);
}

inline void DepthwiseConv2dWeightGradientSelected(const ConvShape& s, const float* stash,
                                                  const uint16_t* channels, int n, const float* dy,
                                                  float* dw) {
  const int multiplier = s.out_channels / s.in_channels;
  for (int k = 0; k < n; ++k) {
    for (int kh = 0; kh < s.h.kernel; ++kh) {
      for (int kw = 0; kw < s.w.kernel; ++kw) {
        for (int m = 0; m < multiplier; ++m) {
          float sum = 0.0f;
          for (int oh = 0; oh < s.h.out; ++oh) {
            for (int ow = 0; ow < s.w.out; ++ow) {
              const int ih = InputOf(s.h, oh, kh);
              const int iw = InputOf(s.w, ow, kw);
              if (ih < 0 || iw < 0) continue;
              sum += stash[(k * s.h.in + ih) * s.w.in + iw] *
                     dy[(oh * s.w.out + ow) * s.out_channels + channels[k] * multiplier + m];
            }
          }
          dw[((k * s.h.kernel + kh) * s.w.kernel + kw) * multiplier + m] += sum;
        }
      }
    }
  }
}

}  // namespace reference
}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_DEPTHWISE_CONV2D_REFERENCE_H_
