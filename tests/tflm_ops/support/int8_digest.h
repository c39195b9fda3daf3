#ifndef TESTS_TFLM_OPS_SUPPORT_INT8_DIGEST_H_
#define TESTS_TFLM_OPS_SUPPORT_INT8_DIGEST_H_

// One number for what tflm_ops/math computes on int8 values, as digest.h has one for floats: with
// DSP instructions and without them the same.

#include <stdint.h>

#include "tflm_ops/math/int8_conv2d.h"
#include "tflm_ops/math/int8_depthwise_conv2d.h"
#include "tflm_ops/math/int8_elementwise.h"

namespace medyate {
namespace math {

class Int8Digest {
 public:
  uint32_t Run() {
    const ConvShape shapes[] = {
        {UnitAxis(5), UnitAxis(5), 9, 7},
        {UnitAxis(3), UnitAxis(4), 16, 8},
        {SameAxis(7, 3, 1, 1), SameAxis(9, 3, 1, 1), 5, 6},
        {SameAxis(8, 3, 2, 1), SameAxis(7, 5, 2, 1), 12, 5},
        {ValidAxis(9, 3, 1, 2), ValidAxis(9, 2, 3, 1), 4, 4},
        {UnitAxis(1), SameAxis(20, 5, 1, 1), 6, 9},
    };
    for (const ConvShape& shape : shapes) {
      for (int8_t& value : x_) value = static_cast<int8_t>(Next());
      for (int8_t& value : w_) value = static_cast<int8_t>(Next());
      for (int i = 0; i < kChannels; ++i) {
        bias_[i] = static_cast<int32_t>(Next() % 40001) - 20000;
        multiplier_[i] = static_cast<int32_t>((1u << 30) + Next() % (1u << 30));
        shift_[i] = 1 + static_cast<int32_t>(Next() % 11);
      }
      const Requantization to = {bias_, multiplier_, shift_, static_cast<int8_t>(Next())};
      const int zero = static_cast<int8_t>(Next());
      const int pixels = shape.h.out * shape.w.out;
      Int8Conv2dForward(shape, x_, zero, w_, to, patches_, y_);
      Add(pixels * shape.out_channels);
      ConvShape depthwise = shape;
      for (int fan_out = 1; fan_out <= 2; ++fan_out) {
        depthwise.out_channels = fan_out * shape.in_channels;
        Int8DepthwiseConv2dForward(depthwise, x_, zero, w_, to, y_);
        Add(pixels * depthwise.out_channels);
      }
    }
    const Int8Term term = {3, 1 << 30, 0}, other = {-7, 1234567890, 2}, sum = {5, 1357924680, 18};
    Int8AddForward(term, x_, other, w_, kSize, sum, y_);
    Add(kSize);
    Dequantize(x_, kFloats, 0.037f, 9, floats_);
    Quantize(floats_, kFloats, 0.05f, -4, y_);
    Add(kFloats);
    return hash_;
  }

 private:
  static const int kSize = 1000, kFloats = 200, kChannels = 32;

  uint32_t Next() {
    state_ = state_ * 1664525u + 1013904223u;
    return state_ >> 8;
  }

  void Add(int n) {
    for (int i = 0; i < n; ++i) hash_ = (hash_ ^ static_cast<uint8_t>(y_[i])) * 16777619u;
  }

  uint32_t state_ = 1;
  uint32_t hash_ = 2166136261u;
  int8_t x_[kSize], w_[kSize], y_[kSize];
  int32_t bias_[kChannels], multiplier_[kChannels], shift_[kChannels];
  int32_t patches_[300];
  float floats_[kFloats];
};

// What Int8Digest::Run returns everywhere.
const uint32_t kInt8Digest = 3794284429u;

}  // namespace math
}  // namespace medyate

#endif  // TESTS_TFLM_OPS_SUPPORT_INT8_DIGEST_H_
