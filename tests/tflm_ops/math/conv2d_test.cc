#include "tflm_ops/math/conv2d.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/conv2d_reference.h"

namespace medyate {
namespace math {
namespace {

const int kShapes = 400;

int RunOf(const ConvShape& s) { return s.h.kernel * s.w.kernel * s.out_channels; }

// A shape, with more channels than a block holds now and then.
ConvShape DrawAnyShape(Random* random) {
  if (random->Int(0, 7) > 0) return random->DrawShape(11, 13);
  ConvShape s = random->DrawShape(5, 5);
  s.in_channels = random->Int(kBlockChannels - 1, 2 * kBlockChannels + 5);
  return s;
}

TEST(Conv2dTest, ForwardEqualsReference) {
  Random random(11);
  for (int round = 0; round < kShapes; ++round) {
    const ConvShape s = DrawAnyShape(&random);
    const int n = random.Drawn(s.in_channels);
    SCOPED_TRACE(::testing::Message() << s << " N " << n);
    const auto x = random.Floats(InputElements(s));
    const auto w = random.Floats(s.in_channels * RunOf(s));
    const SplitWeights split(&random, w, s.in_channels, n);
    const auto bias = random.Floats(s.out_channels);
    const float* b = random.Int(0, 3) == 0 ? nullptr : bias.data();
    auto y = random.Floats(OutputElements(s));
    auto expected = random.Floats(OutputElements(s));
    Conv2dForward(s, x.data(), split.weights(), b, y.data());
    reference::Conv2dForward(s, x.data(), w.data(), b, expected.data());
    ASSERT_TRUE(SameBits(expected, y));
  }
}

TEST(Conv2dTest, InputGradientEqualsReference) {
  Random random(12);
  for (int round = 0; round < kShapes; ++round) {
    const ConvShape s = DrawAnyShape(&random);
    const int n = random.Drawn(s.in_channels);
    SCOPED_TRACE(::testing::Message() << s << " N " << n);
    const auto dy = random.Floats(OutputElements(s));
    const auto w = random.Floats(s.in_channels * RunOf(s));
    const SplitWeights split(&random, w, s.in_channels, n);
    auto dx = random.Floats(InputElements(s));
    auto expected = random.Floats(InputElements(s));
    Conv2dInputGradient(s, dy.data(), split.weights(), dx.data());
    reference::Conv2dInputGradient(s, dy.data(), w.data(), expected.data());
    ASSERT_TRUE(SameBits(expected, dx));
  }
}

TEST(Conv2dTest, SelectedWeightGradientEqualsReference) {
  Random random(13);
  for (int round = 0; round < kShapes; ++round) {
    const ConvShape s = random.DrawShape(9, 13);
    const int n = random.Int(0, s.in_channels);
    SCOPED_TRACE(::testing::Message() << s << " N " << n);
    const auto channels = random.Channels(s.in_channels, n);
    const auto x = random.Floats(InputElements(s));
    const auto dy = random.Floats(OutputElements(s));
    std::vector<float> stash(n * s.h.in * s.w.in);
    StashChannels(x.data(), s.h.in * s.w.in, s.in_channels, channels.data(), n, stash.data());
    auto dw = random.Floats(n * RunOf(s));
    auto expected_dw = dw;
    Conv2dWeightGradientSelected(s, stash.data(), n, dy.data(), dw.data());
    reference::Conv2dWeightGradientSelected(s, stash.data(), n, dy.data(), expected_dw.data());
    ASSERT_TRUE(SameBits(expected_dw, dw));
  }
}

TEST(Conv2dTest, SelectedGradientIsSliceOfFullGradient) {
  Random random(14);
  for (int round = 0; round < 100; ++round) {
    const ConvShape s = random.DrawShape(9, 13);
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
    Conv2dWeightGradientSelected(s, stash.data(), s.in_channels, dy.data(), full.data());
    std::vector<float> selected(n * RunOf(s));
    StashChannels(x.data(), pixels, s.in_channels, drawn.data(), n, stash.data());
    Conv2dWeightGradientSelected(s, stash.data(), n, dy.data(), selected.data());
    std::vector<float> slice;
    for (uint16_t c : drawn) {
      slice.insert(slice.end(), full.begin() + c * RunOf(s), full.begin() + (c + 1) * RunOf(s));
    }
    ASSERT_TRUE(SameBits(slice, selected));
  }
}

TEST(Conv2dTest, BiasGradientEqualsReference) {
  Random random(15);
  for (int round = 0; round < 50; ++round) {
    const int pixels = random.Int(1, 40);
    const int channels = random.Int(1, 13);
    const auto dy = random.Floats(pixels * channels);
    auto dbias = random.Floats(channels);
    auto expected = dbias;
    BiasGradient(dy.data(), pixels, channels, dbias.data());
    reference::BiasGradient(dy.data(), pixels, channels, expected.data());
    ASSERT_TRUE(SameBits(expected, dbias));
  }
}

// The loss sum(y * g) is linear in each argument, so central differences have no truncation error
// whatever the step; with step 1/2 they are off by rounding alone. y holds at most 6 x 25 + 1
// products of numbers up to 2 in size, each sum rounded to 2^-24 of about 20: 6e-5 over 100 outputs
// of random sign, at most 1e-3 when all are on one side.
const float kStep = 0.5f;
const double kRounding = 1e-3;

TEST(Conv2dReferenceTest, GradientsAreCentralDifferences) {
  Random random(16);
  for (int round = 0; round < 60; ++round) {
    const ConvShape s = random.DrawShape(5, 6);
    SCOPED_TRACE(::testing::Message() << s);
    const auto channels = random.Channels(s.in_channels, s.in_channels);
    auto x = random.Floats(InputElements(s));
    auto w = random.Floats(s.in_channels * RunOf(s));
    auto bias = random.Floats(s.out_channels);
    const auto g = random.Floats(OutputElements(s));
    std::vector<float> y(OutputElements(s));
    const auto loss = [&] {
      reference::Conv2dForward(s, x.data(), w.data(), bias.data(), y.data());
      return Dot(y, g);
    };
    std::vector<float> dx(InputElements(s));
    reference::Conv2dInputGradient(s, g.data(), w.data(), dx.data());
    ExpectGradient(loss, &x, dx, kStep, kRounding);

    std::vector<float> stash(InputElements(s));
    StashChannels(x.data(), s.h.in * s.w.in, s.in_channels, channels.data(), s.in_channels,
                  stash.data());
    std::vector<float> dw(w.size());
    reference::Conv2dWeightGradientSelected(s, stash.data(), s.in_channels, g.data(), dw.data());
    ExpectGradient(loss, &w, dw, kStep, kRounding);

    std::vector<float> dbias(s.out_channels);
    reference::BiasGradient(g.data(), s.h.out * s.w.out, s.out_channels, dbias.data());
    ExpectGradient(loss, &bias, dbias, kStep, kRounding);
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
