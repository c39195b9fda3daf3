#ifndef TESTS_TFLM_OPS_SUPPORT_DIGEST_H_
#define TESTS_TFLM_OPS_SUPPORT_DIGEST_H_

// One number for everything that tflm_ops/math computes on fixed inputs. Every host, compiler and
// board must get the same; it needs no heap and no standard library, so that a board can.

#include <stdint.h>
#include <string.h>

#include "tflm_ops/math/activations.h"
#include "tflm_ops/math/adam.h"
#include "tflm_ops/math/broadcast.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/conv2d_transpose.h"
#include "tflm_ops/math/dense.h"
#include "tflm_ops/math/depthwise_conv2d.h"
#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/losses.h"
#include "tflm_ops/math/pooling.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/math/sgd.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {
namespace math {

class Digest {
 public:
  // Computes everything; the result is the same for ever, unless an order of summation changes.
  uint32_t Run() {
    const ConvShape shapes[] = {
        {UnitAxis(5), UnitAxis(5), 9, 7},
        {SameAxis(7, 3, 1, 1), SameAxis(9, 3, 1, 1), 5, 6},
        {SameAxis(8, 3, 2, 1), SameAxis(7, 5, 2, 1), 3, 5},
        {ValidAxis(9, 3, 1, 2), ValidAxis(9, 2, 3, 1), 4, 4},
        {UnitAxis(1), SameAxis(20, 5, 1, 1), 6, 9},
    };
    for (const ConvShape& shape : shapes) {
      Layers(shape);
      Transposed(shape);
      ConvShape depthwise = shape;
      depthwise.out_channels = shape.in_channels;
      Depthwise(depthwise);
      depthwise.out_channels = shape.in_channels * 2;
      Depthwise(depthwise);
    }
    Others();
    Smooth();
    Broadcasts();
    return hash_;
  }

 private:
  static const int kSize = 1500;

  // Numbers in -1 .. 1 from a linear congruential generator.
  void Draw(float* values) {
    for (int i = 0; i < kSize; ++i) {
      state_ = state_ * 1664525u + 1013904223u;
      values[i] = static_cast<float>(static_cast<int32_t>(state_) >> 8) / 8388608.0f;
    }
  }

  void DrawAll() {
    Draw(a_);
    Draw(b_);
    Draw(d_);
    Draw(out_);
  }

  // FNV-1a over the bits of n floats.
  void Add(const float* values, int n) {
    for (int i = 0; i < n; ++i) {
      uint32_t bits;
      memcpy(&bits, &values[i], sizeof(bits));
      hash_ = (hash_ ^ bits) * 16777619u;
    }
  }

  void Layers(const ConvShape& s) {
    static const uint16_t kChannels[] = {0, 2};
    const int outputs = s.h.out * s.w.out * s.out_channels;
    const int run = s.h.kernel * s.w.kernel * s.out_channels;
    DrawAll();
    const Weights w = {b_, d_, kChannels, 2};
    Conv2dForward(s, a_, w, d_, out_);
    Add(out_, outputs);
    Conv2dInputGradient(s, a_, w, out_);
    Add(out_, s.h.in * s.w.in * s.in_channels);
    DrawAll();
    Conv2dWeightGradientSelected(s, d_, 2, a_, out_);
    Add(out_, 2 * run);
    DenseForward(s.in_channels, s.out_channels, a_, w, d_, out_);
    Add(out_, s.out_channels);
  }

  void Transposed(const ConvShape& s) {
    static const uint16_t kChannels[] = {1, 3};
    DrawAll();
    const Weights w = {b_, d_, kChannels, 2};
    Conv2dTransposeForward(s, a_, w, d_, out_);
    Add(out_, s.h.in * s.w.in * s.in_channels);
    Conv2dTransposeInputGradient(s, a_, w, out_);
    Add(out_, s.h.out * s.w.out * s.out_channels);
    Conv2dTransposeWeightGradientSelected(s, d_, 2, a_, out_);
    Add(out_, 2 * s.h.kernel * s.w.kernel * s.in_channels);
  }

  void Depthwise(const ConvShape& s) {
    static const uint16_t kChannels[] = {0, 2};
    const int run = s.h.kernel * s.w.kernel * (s.out_channels / s.in_channels);
    DrawAll();
    const Weights w = {b_, d_, kChannels, 2};
    DepthwiseConv2dForward(s, a_, w, d_, out_);
    Add(out_, s.h.out * s.w.out * s.out_channels);
    DepthwiseConv2dInputGradient(s, a_, w, out_);
    Add(out_, s.h.in * s.w.in * s.in_channels);
    DrawAll();
    DepthwiseConv2dWeightGradientSelected(s, d_, kChannels, 2, a_, out_);
    Add(out_, 2 * run);
  }

  void Others() {
    static uint8_t bits[kSize];
    const PoolShape pool = {SameAxis(9, 3, 2, 1), ValidAxis(9, 2, 2, 1), 4};
    const int pooled = pool.h.out * pool.w.out * pool.channels;
    DrawAll();
    MaxPoolForward(pool, a_, out_, bits);
    Add(out_, pooled);
    MaxPoolBackward(pool, bits, b_, out_);
    Add(out_, 9 * 9 * 4);
    AveragePoolForward(pool, a_, out_);
    Add(out_, pooled);
    AveragePoolBackward(pool, b_, out_);
    Add(out_, 9 * 9 * 4);
    GlobalAveragePoolForward(a_, 27, 5, out_);
    Add(out_, 5);
    HardSwishForward(a_, 100, out_);
    Add(out_, 100);
    HardSwishBackward(a_, b_, 100, out_);
    Add(out_, 100);
    LeakyReluForward(a_, 100, 0.3f, out_, bits);
    GateBackward(bits, b_, 100, 0.3f, out_ + 100);
    Add(out_, 200);
    for (int i = 0; i < 50; ++i) d_[i] = i % 2 == 0 ? 1.0f : 0.0f;
    const float losses[] = {SoftmaxCrossEntropy(a_, 20, 3, 0.1f, out_),
                            SigmoidCrossEntropy(a_, d_, 50, 0.1f, out_ + 20),
                            MeanSquaredError(a_, b_, 50, out_ + 70),
                            MeanAbsoluteError(a_, b_, 50, out_ + 120),
                            Huber(a_, b_, 50, 0.7f, out_ + 170),
                            Sqrt(SumOfSquares(a_, 99)),
                            ClipScale(SumOfSquares(a_, 99), 1.5f)};
    Add(losses, 7);
    Softmax(a_, 20, out_ + 220);
    Add(out_, 240);
    DrawAll();
    SgdStep({0.1f, 0.9f, 0.01f, true, 0.7f}, a_, 100, d_, out_);
    Add(out_, 100);
    for (int i = 0; i < 100; ++i) d_[i] *= d_[i];
    const float size = AdamStepSize(0.1f, NextCorrection(0.3f, 0.1f), NextCorrection(0.3f, 0.01f));
    AdamStep({size, 0.01f, 0.1f, 0.01f, 1e-7f, 0.7f}, a_, 100, b_, d_, out_);
    Add(b_, 100);
    Add(d_, 100);
    Add(out_, 100);
    for (int i = 0; i < 1000; ++i) {
      const float x = a_[i] * 90.0f;
      const float results[] = {Exp(x), Log(x * x), Sqrt(x * x + 1.0f)};
      Add(results, 3);
    }
  }

  void Smooth() {
    using Forward = void (*)(const float*, int, float*);
    using Backward = void (*)(const float*, const float*, int, float*);
    const struct {
      Forward forward;
      Backward backward;
    } kinds[] = {
        {SigmoidForward, SigmoidBackward},
        {TanhForward, TanhBackward},
        {ExponentialForward, ExponentialBackward},
        {SoftplusForward, SoftplusBackward},
        {SoftsignForward, SoftsignBackward},
        {SiluForward, SiluBackward},
        {GeluForward, GeluBackward},
        {GeluTanhForward, GeluTanhBackward},
        {HardSigmoidForward, HardSigmoidBackward},
    };
    for (const auto& kind : kinds) {
      DrawAll();
      for (int i = 0; i < 400; ++i) a_[i] *= 8.0f;
      kind.forward(a_, 400, out_);
      Add(out_, 400);
      kind.backward(a_, b_, 400, out_);
      Add(out_, 400);
    }
    EluForward(0.7f, 1.3f, a_, 400, out_);
    Add(out_, 400);
    EluBackward(0.7f, 1.3f, a_, b_, 400, out_);
    Add(out_, 400);
    ClippedReluForward(1.5f, 0.2f, 0.1f, a_, 400, out_);
    Add(out_, 400);
    ClippedReluBackward(1.5f, 0.2f, 0.1f, a_, b_, 400, out_);
    Add(out_, 400);
    SoftmaxForward(8, 5, a_, 400, out_);
    SoftmaxBackward(8, 5, out_, b_, 400, d_);
    Add(out_, 400);
    Add(d_, 400);
  }

  void Broadcasts() {
    const BroadcastShape shape = {{3, 5, 7}, {35, 7, 1}, {7, 0, 1}};
    DrawAll();
    const auto check = [this, &shape](decltype(&MultiplyForward) forward,
                                      decltype(&MultiplyBackward) backward) {
      forward(shape, a_, b_, out_);
      Add(out_, 105);
      backward(shape, false, a_, b_, d_, out_);
      Add(out_, 105);
      if (backward == PReluBackward) return;
      backward(shape, true, a_, b_, d_, out_);
      Add(out_, 21);
    };
    check(BroadcastAddForward, BroadcastAddBackward);
    check(SubtractForward, SubtractBackward);
    check(MultiplyForward, MultiplyBackward);
    check(MaximumForward, MaximumBackward);
    check(MinimumForward, MinimumBackward);
    check(PReluForward, PReluBackward);
  }

  uint32_t state_ = 1;
  uint32_t hash_ = 2166136261u;
  float a_[kSize], b_[kSize], d_[kSize], out_[kSize];
};

// What Digest::Run returns everywhere.
const uint32_t kDigest = 1782465092u;

}  // namespace math
}  // namespace medyate

#endif  // TESTS_TFLM_OPS_SUPPORT_DIGEST_H_
