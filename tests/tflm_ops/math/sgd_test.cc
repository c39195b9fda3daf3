#include "tflm_ops/math/sgd.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace math {
namespace {

TEST(SgdTest, PlainStepIsRateTimesGradient) {
  Random random(91);
  const auto gradient = random.Floats(23);
  auto weights = random.Floats(23);
  auto expected = weights;
  SgdStep({0.125f, 0.0f, 0.0f, false, 0.5f}, gradient.data(), 23, nullptr, weights.data());
  for (int i = 0; i < 23; ++i) expected[i] -= gradient[i] * 0.5f * 0.125f;
  EXPECT_TRUE(SameBits(expected, weights));
}

// Against the recurrences of sgd.h in double. Each of five steps rounds numbers below 4 a handful
// of times: 5 * 6 * 4 * 6e-8.
TEST(SgdTest, MomentumAndDecayFollowTheRecurrence) {
  const double kRounding = 8e-6;
  Random random(92);
  for (int round = 0; round < 100; ++round) {
    const SgdOptions options = {random.Float() * 0.5f + 0.5f, 0.9f,
                                random.Int(0, 1) == 0 ? 0.0f : 0.1f, random.Int(0, 1) == 1, 1.0f};
    auto weights = random.Floats(9);
    std::vector<float> velocity(9);
    std::vector<double> w(weights.begin(), weights.end()), v(9);
    for (int step = 0; step < 5; ++step) {
      auto gradient = random.Floats(9);
      for (float& g : gradient) g *= 0.1f;
      SgdStep(options, gradient.data(), 9, velocity.data(), weights.data());
      for (int i = 0; i < 9; ++i) {
        w[i] -= w[i] * options.weight_decay * options.learning_rate;
        const double g = static_cast<double>(gradient[i]) * options.learning_rate;
        v[i] = v[i] * options.momentum - g;
        w[i] += options.nesterov ? v[i] * options.momentum - g : v[i];
      }
    }
    for (int i = 0; i < 9; ++i) {
      EXPECT_NEAR(weights[i], w[i], kRounding);
      EXPECT_NEAR(velocity[i], v[i], kRounding);
    }
  }
}

TEST(ClipTest, ByValueLimitsEachElement) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> gradient = {-3.0f, -0.5f, 0.0f, 0.5f, 3.0f, nan};
  ClipByValue(1.0f, 6, gradient.data());
  EXPECT_TRUE(SameBits({-1.0f, -0.5f, 0.0f, 0.5f, 1.0f, nan}, gradient));
}

TEST(ClipTest, ByNormKeepsTheDirection) {
  Random random(93);
  for (int round = 0; round < 100; ++round) {
    const int n = random.Int(1, 50);
    auto gradient = random.Floats(n);
    const float limit = random.Float() + 1.5f;
    const float before = Sqrt(SumOfSquares(gradient.data(), n));
    const float scale = ClipScale(SumOfSquares(gradient.data(), n), limit);
    if (before <= limit) {
      EXPECT_EQ(scale, 1.0f);
      continue;
    }
    for (float& g : gradient) g *= scale;
    // Norm, quotient and product are rounded once each, the sums of 50 squares at most 13 + 2
    // times, halved by the root.
    EXPECT_NEAR(Sqrt(SumOfSquares(gradient.data(), n)), limit, 20 * 6e-8 * limit);
  }
}

TEST(ClipTest, ByNormTurnsInfinityIntoNan) {
  EXPECT_TRUE(std::isnan(ClipScale(std::numeric_limits<float>::infinity(), 1.0f)));
  EXPECT_TRUE(std::isnan(ClipScale(std::numeric_limits<float>::quiet_NaN(), 1.0f)));
}

TEST(SumOfSquaresTest, IsTheSumOfSquares) {
  Random random(94);
  for (int n = 0; n < 70; ++n) {
    const auto x = random.Floats(n);
    // n squares of at most 1 each, every addition rounded.
    EXPECT_NEAR(SumOfSquares(x.data(), n), Dot(x, x), n * n * 6e-8);
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
