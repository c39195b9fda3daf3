#include "tflm_ops/math/dense.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/dense_reference.h"

namespace medyate {
namespace math {
namespace {

TEST(DenseTest, EqualsReference) {
  Random random(31);
  for (int round = 0; round < 300; ++round) {
    const int inputs = random.Int(0, 7) == 0 ? random.Int(60, 140) : random.Int(1, 40);
    const int units = random.Int(1, 20);
    const int n = random.Drawn(inputs);
    SCOPED_TRACE(::testing::Message() << inputs << " inputs " << units << " units N " << n);
    const auto channels = random.Channels(inputs, n);
    const auto x = random.Floats(inputs);
    const auto dy = random.Floats(units);
    const auto w = random.Floats(inputs * units);
    const SplitWeights split(&random, w, inputs, n);
    const auto bias = random.Floats(units);

    auto y = random.Floats(units);
    auto expected_y = y;
    DenseForward(inputs, units, x.data(), split.weights(), bias.data(), y.data());
    reference::DenseForward(inputs, units, x.data(), w.data(), bias.data(), expected_y.data());
    ASSERT_TRUE(SameBits(expected_y, y));

    auto dx = random.Floats(inputs);
    auto expected_dx = dx;
    DenseInputGradient(inputs, units, dy.data(), split.weights(), dx.data());
    reference::DenseInputGradient(inputs, units, dy.data(), w.data(), expected_dx.data());
    ASSERT_TRUE(SameBits(expected_dx, dx));

    std::vector<float> stash(n);
    StashChannels(x.data(), 1, inputs, channels.data(), n, stash.data());
    auto dw = random.Floats(n * units);
    auto expected_dw = dw;
    DenseWeightGradientSelected(units, stash.data(), n, dy.data(), dw.data());
    reference::DenseWeightGradientSelected(units, stash.data(), n, dy.data(), expected_dw.data());
    ASSERT_TRUE(SameBits(expected_dw, dw));
  }
}

// Linear, so only rounding is left: 8 outputs of at most 12 products, rounded to 2^-24 of 20.
TEST(DenseReferenceTest, GradientsAreCentralDifferences) {
  const float kStep = 0.5f;
  const double kRounding = 2e-5;
  Random random(32);
  for (int round = 0; round < 30; ++round) {
    const int inputs = random.Int(1, 12);
    const int units = random.Int(1, 8);
    auto x = random.Floats(inputs);
    auto w = random.Floats(inputs * units);
    const auto g = random.Floats(units);
    std::vector<float> y(units);
    const auto loss = [&] {
      reference::DenseForward(inputs, units, x.data(), w.data(), nullptr, y.data());
      return Dot(y, g);
    };
    std::vector<float> dx(inputs);
    reference::DenseInputGradient(inputs, units, g.data(), w.data(), dx.data());
    ExpectGradient(loss, &x, dx, kStep, kRounding);
    std::vector<float> dw(inputs * units);
    reference::DenseWeightGradientSelected(units, x.data(), inputs, g.data(), dw.data());
    ExpectGradient(loss, &w, dw, kStep, kRounding);
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
