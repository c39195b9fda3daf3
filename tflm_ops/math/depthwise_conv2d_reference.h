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

inline void DepthwiseConv2dForward(const ConvShape& s, const float* x, const float* w,
                                   const float* bias, float* y) {
  const int multiplier = s.out_channels / s.in_channels;
  for (int oh = 0; oh < s.h.out; ++oh) {
    for (int ow = 0; ow < s.w.out; ++ow) {
      for (int o = 0; o < s.out_channels; ++o) {
        float sum = bias ? bias[o] : 0.0f;
        const int i = o / multiplier;
        for (int kh = 0; kh < s.h.kernel; ++kh) {
          for (int kw = 0; kw < s.w.kernel; ++kw) {
            const int ih = InputOf(s.h, oh, kh);
            const int iw = InputOf(s.w, ow, kw);
            if (ih < 0 || iw < 0) continue;
            sum += x[(ih * s.w.in + iw) * s.in_channels + i] *
                   w[((i * s.h.kernel + kh) * s.w.kernel + kw) * multiplier + o % multiplier];
          }
        }
        y[(oh * s.w.out + ow) * s.out_channels + o] = sum;
      }
    }
  }
}

inline void DepthwiseConv2dInputGradient(const ConvShape& s, const float* dy, const float* w,
                                         float* dx) {
  const int multiplier = s.out_channels / s.in_channels;
  for (int ih = 0; ih < s.h.in; ++ih) {
    for (int iw = 0; iw < s.w.in; ++iw) {
      for (int i = 0; i < s.in_channels; ++i) {
        float sum = 0.0f;
        for (int kh = 0; kh < s.h.kernel; ++kh) {
          for (int kw = 0; kw < s.w.kernel; ++kw) {
            const int oh = OutputOf(s.h, ih, kh);
            const int ow = OutputOf(s.w, iw, kw);
            if (oh < 0 || ow < 0) continue;
            for (int m = 0; m < multiplier; ++m) {
              sum += dy[(oh * s.w.out + ow) * s.out_channels + i * multiplier + m] *
                     w[((i * s.h.kernel + kh) * s.w.kernel + kw) * multiplier + m];
            }
          }
        }
        dx[(ih * s.w.in + iw) * s.in_channels + i] = sum;
      }
    }
  }
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
