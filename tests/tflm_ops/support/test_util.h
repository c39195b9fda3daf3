#ifndef TESTS_TFLM_OPS_SUPPORT_TEST_UTIL_H_
#define TESTS_TFLM_OPS_SUPPORT_TEST_UTIL_H_

#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <ostream>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/shape.h"
#include "tflm_ops/math/weights.h"

namespace medyate {
namespace math {

inline std::ostream& operator<<(std::ostream& out, const Axis& a) {
  return out << "{in " << a.in << " out " << a.out << " kernel " << a.kernel << " stride "
             << a.stride << " dilation " << a.dilation << " pad " << a.pad << "}";
}

inline std::ostream& operator<<(std::ostream& out, const ConvShape& s) {
  return out << "h " << s.h << " w " << s.w << " I " << s.in_channels << " O " << s.out_channels;
}

// Draws shapes and numbers; the same seed draws the same on every machine.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  // A whole number in low .. high.
  int Int(int low, int high) {
    return low + static_cast<int>(engine_() % static_cast<uint32_t>(high - low + 1));
  }

  // A number in -1 .. 1, in steps of 2^-23.
  float Float() { return static_cast<float>(engine_() >> 8) / 8388608.0f - 1.0f; }

  std::vector<float> Floats(int n) {
    std::vector<float> values(n);
    for (float& value : values) value = Float();
    return values;
  }

  // n of 0 .. total - 1, rising.
  std::vector<uint16_t> Channels(int total, int n) {
    std::vector<uint16_t> channels(total);
    std::iota(channels.begin(), channels.end(), 0);
    for (int i = 0; i < n; ++i) std::swap(channels[i], channels[Int(i, total - 1)]);
    channels.resize(n);
    std::sort(channels.begin(), channels.end());
    return channels;
  }

  // SAME, VALID or other padding; stride and dilation 1 to 3; one position now and then.
  Axis DrawAxis(int largest) {
    const int in = Int(0, 5) == 0 ? 1 : Int(1, largest);
    const int kernel = Int(0, 2) == 0 ? 1 : Int(2, 5);
    const int stride = Int(1, 3);
    const int dilation = Int(0, 2) == 0 ? Int(2, 3) : 1;
    const int extent = (kernel - 1) * dilation + 1;
    const int padding = Int(0, 2);
    if (padding == 0 || extent > in) return SameAxis(in, kernel, stride, dilation);
    if (padding == 1) return ValidAxis(in, kernel, stride, dilation);
    // Padding beyond SAME, so that whole windows lie outside; the last positions may go unread.
    const int pad = Int(0, extent + 1);
    const int out = Int(1, (in + 2 * pad - extent) / stride + 1);
    return {in, out, kernel, stride, dilation, pad};
  }

  ConvShape DrawShape(int largest_side, int largest_channels) {
    const bool pointwise = Int(0, 3) == 0;
    const Axis h = Int(0, 3) == 0 ? UnitAxis(1) : DrawAxis(largest_side);
    const Axis w = DrawAxis(largest_side);
    return {pointwise ? UnitAxis(h.in) : h, pointwise ? UnitAxis(w.in) : w,
            Int(1, largest_channels), Int(1, largest_channels)};
  }

  // How many of `total` channels are drawn; none and all now and then.
  int Drawn(int total) {
    const int kind = Int(0, 3);
    return kind == 0 ? 0 : kind == 1 ? total : Int(0, total);
  }

 private:
  std::mt19937 engine_;
};

// The weights [I][run] of a layer as training keeps them: with runs of their own for `n` random
// channels, and nothing that could be computed with in their old place.
class SplitWeights {
 public:
  SplitWeights(Random* random, const std::vector<float>& weights, int channels, int n)
      : base_(weights), channels_(random->Channels(channels, n)) {
    const int run = static_cast<int>(weights.size()) / channels;
    for (uint16_t c : channels_) {
      live_.insert(live_.end(), weights.begin() + c * run, weights.begin() + (c + 1) * run);
      std::fill_n(base_.begin() + c * run, run, std::numeric_limits<float>::quiet_NaN());
    }
  }

  Weights weights() const {
    return {base_.data(), live_.data(), channels_.data(), static_cast<int>(channels_.size())};
  }

 private:
  std::vector<float> base_;
  std::vector<float> live_;
  std::vector<uint16_t> channels_;
};

inline int InputElements(const ConvShape& s) { return s.h.in * s.w.in * s.in_channels; }
inline int OutputElements(const ConvShape& s) { return s.h.out * s.w.out * s.out_channels; }

// Whether two vectors hold the same bits. No tolerance: this is for results whose every rounding
// is laid down.
inline ::testing::AssertionResult SameBits(const std::vector<float>& expected,
                                           const std::vector<float>& actual) {
  if (expected.size() != actual.size()) return ::testing::AssertionFailure() << "sizes differ";
  for (size_t i = 0; i < expected.size(); ++i) {
    if (memcmp(&expected[i], &actual[i], sizeof(float)) != 0) {
      return ::testing::AssertionFailure() << "element " << i << " of " << expected.size()
                                           << ": expected " << expected[i] << ", got " << actual[i];
    }
  }
  return ::testing::AssertionSuccess();
}

inline double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// Checks a gradient against central differences of f.
//
// Args:
//   f: the scalar function of *x; `gradient` is its gradient.
//   step: half the distance of the two points.
//   tolerance: per element, absolute.
template <typename Function>
void ExpectGradient(Function f, std::vector<float>* x, const std::vector<float>& gradient,
                    float step, double tolerance) {
  ASSERT_EQ(x->size(), gradient.size());
  for (size_t i = 0; i < x->size(); ++i) {
    const float middle = (*x)[i];
    (*x)[i] = middle + step;
    const double above = f();
    (*x)[i] = middle - step;
    const double below = f();
    (*x)[i] = middle;
    EXPECT_NEAR((above - below) / (2.0 * step), gradient[i], tolerance) << "element " << i;
  }
}

}  // namespace math
}  // namespace medyate

#endif  // TESTS_TFLM_OPS_SUPPORT_TEST_UTIL_H_
