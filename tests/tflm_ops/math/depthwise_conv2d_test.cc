#include "tflm_ops/math/depthwise_conv2d.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/depthwise_conv2d_reference.h"
#include "tflm_ops/math/int8_weights.h"

namespace medyate {
namespace math {
namespace {

const int kShapes = 400;

// Multiplier 1 two times in three.
ConvShape DrawDepthwise(Random* random, int largest_side, int largest_channels) {
  ConvShape s = random->DrawShape(largest_side, largest_channels);
  s.out_channels = s.in_channels * (random->Int(0, 2) == 0 ? random->Int(2, 3) : 1);
  return s;
}

int RunOf(const ConvShape& s) { return s.h.kernel * s.w.kernel * s.out_channels / s.in_channels; }

// With more channels than a block holds now and then.
ConvShape DrawAnyDepthwise(Random* random) {
  if (random->Int(0, 7) > 0) return DrawDepthwise(random, 11, 13);
  ConvShape s = DrawDepthwise(random, 5, 5);
  const int multiplier = s.out_channels / s.in_channels;
  s.in_channels = random->Int(kBlockChannels - 1, 2 * kBlockChannels + 5);
  s.out_channels = s.in_channels * multiplier;
  return s;
}

TEST(DepthwiseConv2dTest, ForwardEqualsReference) {
  Random random(21);
  for (int round = 0; round < kShapes; ++round) {
    const ConvShape s = DrawAnyDepthwise(&random);
    const int n = random.Drawn(s.in_channels);
    SCOPED_TRACE(::testing::Message() << s << " N " << n);
    const auto x = random.Floats(InputElements(s));
    const auto w = random.Floats(s.in_channels * RunOf(s));
    const SplitWeights split(&random, w, s.in_channels, n);
    const auto bias = random.Floats(s.out_channels);
    const float* b = random.Int(0, 3) == 0 ? nullptr : bias.data();
    auto y = random.Floats(OutputElements(s));
    auto expected = random.Floats(OutputElements(s));
    DepthwiseConv2dForward(s, x.data(), split.weights(), b, y.data());
    reference::DepthwiseConv2dForward(s, x.data(), w.data(), b, expected.data());
    ASSERT_TRUE(SameBits(expected, y));
  }
}

TEST(DepthwiseConv2dTest, InputGradientEqualsReference) {
  Random random(22);
  for (int round = 0; round < kShapes; ++round) {
    const ConvShape s = DrawAnyDepthwise(&random);
    const int n = random.Drawn(s.in_channels);
    SCOPED_TRACE(::testing::Message() << s << " N " << n);
    const auto dy = random.Floats(OutputElements(s));
    const auto w = random.Floats(s.in_channels * RunOf(s));
    const SplitWeights split(&random, w, s.in_channels, n);
    auto dx = random.Floats(InputElements(s));
    auto expected = random.Floats(InputElements(s));
    DepthwiseConv2dInputGradient(s, dy.data(), split.weights(), dx.data());
    reference::DepthwiseConv2dInputGradient(s, dy.data(), w.data(), expected.data());
    ASSERT_TRUE(SameBits(expected, dx));
  }
}

// Strides and padding make the output the smaller one of both maps, or the larger one.
TEST(DepthwiseConv2dTest, Int8WeightsGiveTheSameInPlace) {
  Random random(25);
  for (int round = 0; round < kShapes; ++round) {
    ConvShape s = DrawAnyDepthwise(&random);
    s.out_channels = s.in_channels;
    const int taps = RunOf(s);
    const auto weights = random.Floats(s.in_channels * taps);
    std::vector<int8_t> q(weights.size());
    for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<int8_t>(50.0f * weights[i]);
    const auto scale = random.Floats(s.in_channels);
    const auto bias = random.Floats(s.out_channels);
    const Int8Weights w = {q.data(), scale.data()};
    const int x = InputElements(s), y = OutputElements(s);
    const int channels = random.Int(1, s.in_channels);
    std::vector<float> memory(channels * (taps + (x > y ? x : y) / s.in_channels));
    const Int8Block block = {memory.data(), static_cast<int>(memory.size())};
    SCOPED_TRACE(::testing::Message() << s << " channels " << channels);

    auto map = random.Floats(x > y ? x : y);
    std::vector<float> expected(y);
    Int8WeightsDepthwiseConv2dForward(s, map.data(), w, bias.data(), block, expected.data());
    Int8WeightsDepthwiseConv2dForward(s, map.data(), w, bias.data(), block, map.data());
    map.resize(y);
    ASSERT_TRUE(SameBits(expected, map));

    map = random.Floats(x > y ? x : y);
    expected.resize(x);
    Int8WeightsDepthwiseConv2dInputGradient(s, map.data(), w, block, expected.data());
    Int8WeightsDepthwiseConv2dInputGradient(s, map.data(), w, block, map.data());
    map.resize(x);
    ASSERT_TRUE(SameBits(expected, map));
  }
}

TEST(DepthwiseConv2dTest, SelectedWeightGradientEqualsReference) {
  Random random(23);
  for (int round = 0; round < kShapes; ++round) {
    const ConvShape s = DrawDepthwise(&random, 9, 13);
    const int n = random.Int(0, s.in_channels);
    SCOPED_TRACE(::testing::Message() << s << " N " << n);
    const auto channels = random.Channels(s.in_channels, n);
    const auto x = random.Floats(InputElements(s));
    const auto dy = random.Floats(OutputElements(s));
    std::vector<float> stash(n * s.h.in * s.w.in);
    StashChannels(x.data(), s.h.in * s.w.in, s.in_channels, channels.data(), n, stash.data());
    auto dw = random.Floats(n * RunOf(s));
    auto expected_dw = dw;
    DepthwiseConv2dWeightGradientSelected(s, stash.data(), channels.data(), n, dy.data(),
                                          dw.data());
    reference::DepthwiseConv2dWeightGradientSelected(s, stash.data(), channels.data(), n, dy.data(),
                                                     expected_dw.data());
    ASSERT_TRUE(SameBits(expected_dw, dw));
  }
}

TEST(DepthwiseConv2dTest, SelectedGradientIsSliceOfFullGradient) {
  Random random(24);
  for (int round = 0; round < 100; ++round) {
    const ConvShape s = DrawDepthwise(&random, 9, 13);
    const int n = random.Int(1, s.in_channels);
    SCOPED_TRACE(::testing::Message() << s << " N " << n);
    const auto all = random.Channels(s.in_channels, s.in_channels);
    const auto drawn = random.Channels(s.in_channels, n);
    const int pixels = s.h.in * s.w.in;
    const auto x = random.Floats(InputElements(s));
    const auto dy = random.Floats(OutputElements(s));
    std::vector<float> stash(s.in_channels * pixels);
    std::vector<float> full(s.in_channels * RunOf(s));
    StashChannels(x.data(), pixels, s.in_channels, all.data(), s.in_channels, stash.data());
    DepthwiseConv2dWeightGradientSelected(s, stash.data(), all.data(), s.in_channels, dy.data(),
                                          full.data());
    std::vector<float> selected(n * RunOf(s));
    StashChannels(x.data(), pixels, s.in_channels, drawn.data(), n, stash.data());
    DepthwiseConv2dWeightGradientSelected(s, stash.data(), drawn.data(), n, dy.data(),
                                          selected.data());
    std::vector<float> slice;
    for (uint16_t c : drawn) {
      slice.insert(slice.end(), full.begin() + c * RunOf(s), full.begin() + (c + 1) * RunOf(s));
    }
    ASSERT_TRUE(SameBits(slice, selected));
  }
}

// As in conv2d_test.cc: linear, so nothing but rounding separates difference and gradient. A sum
// has at most 25 products, and 150 outputs of size 5 enter the loss: 150 * 5 * 2^-24 = 5e-5.
const float kStep = 0.5f;
const double kRounding = 1e-4;

TEST(DepthwiseConv2dReferenceTest, GradientsAreCentralDifferences) {
  Random random(25);
  for (int round = 0; round < 60; ++round) {
    const ConvShape s = DrawDepthwise(&random, 5, 5);
    SCOPED_TRACE(::testing::Message() << s);
    const auto channels = random.Channels(s.in_channels, s.in_channels);
    auto x = random.Floats(InputElements(s));
    auto w = random.Floats(s.in_channels * RunOf(s));
    const auto g = random.Floats(OutputElements(s));
    std::vector<float> y(OutputElements(s));
    const auto loss = [&] {
      reference::DepthwiseConv2dForward(s, x.data(), w.data(), nullptr, y.data());
      return Dot(y, g);
    };
    std::vector<float> dx(InputElements(s));
    reference::DepthwiseConv2dInputGradient(s, g.data(), w.data(), dx.data());
    ExpectGradient(loss, &x, dx, kStep, kRounding);

    std::vector<float> stash(InputElements(s));
    StashChannels(x.data(), s.h.in * s.w.in, s.in_channels, channels.data(), s.in_channels,
                  stash.data());
    std::vector<float> dw(w.size());
    reference::DepthwiseConv2dWeightGradientSelected(s, stash.data(), channels.data(),
                                                     s.in_channels, g.data(), dw.data());
    ExpectGradient(loss, &w, dw, kStep, kRounding);
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
