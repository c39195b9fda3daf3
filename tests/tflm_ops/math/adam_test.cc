#include "tflm_ops/math/adam.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace math {
namespace {

constexpr float kFirstRate = 0.1f;
constexpr float kSecondRate = 0.001f;

// Against the recurrences of adam.h in double. Every step rounds numbers below 2 some ten times,
// and a quotient of both moments that is below 4.
TEST(AdamTest, FollowsTheRecurrence) {
  const double kRounding = 2e-6;
  Random random(95);
  for (int round = 0; round < 50; ++round) {
    const float decay = random.Int(0, 1) * 0.001f, epsilon = random.Int(0, 1) * 1e-3f + 1e-7f;
    AdamOptions options = {0.0f, decay, kFirstRate, kSecondRate, epsilon, 0.5f};
    auto weights = random.Floats(9);
    std::vector<float> first(9), second(9);
    std::vector<double> w(weights.begin(), weights.end()), m(9), v(9);
    float corrections[] = {0.0f, 0.0f};
    for (int step = 1; step <= 6; ++step) {
      const auto gradient = random.Floats(9);
      corrections[0] = NextCorrection(corrections[0], kFirstRate);
      corrections[1] = NextCorrection(corrections[1], kSecondRate);
      options.step_size = AdamStepSize(0.01f, corrections[0], corrections[1]);
      AdamStep(options, gradient.data(), 9, first.data(), second.data(), weights.data());
      const double alpha = 0.01 * std::sqrt(1 - std::pow(0.999, step)) / (1 - std::pow(0.9, step));
      for (int i = 0; i < 9; ++i) {
        const double g = gradient[i] * 0.5;
        w[i] -= w[i] * options.decay;
        m[i] += (g - m[i]) * 0.1;
        v[i] += (g * g - v[i]) * 0.001;
        w[i] -= m[i] * alpha / (std::sqrt(v[i]) + options.epsilon);
      }
    }
    for (int i = 0; i < 9; ++i) {
      EXPECT_NEAR(weights[i], w[i], kRounding);
      EXPECT_NEAR(first[i], m[i], kRounding);
      EXPECT_NEAR(second[i], v[i], kRounding);
    }
  }
}

// After any number of updates: each rounds a number below 1, and forgets `rate` of what was wrong.
TEST(AdamTest, CorrectionsAreOneMinusAPower) {
  for (const float rate : {kFirstRate, kSecondRate, 1.0f, 1e-4f}) {
    float correction = 0.0f;
    for (int t = 1; t <= 20000; ++t) {
      correction = NextCorrection(correction, rate);
      const double wanted = -std::expm1(t * std::log1p(-static_cast<double>(rate)));
      ASSERT_NEAR(correction, wanted, wanted * 6e-8 * std::fmin(t, 1 / rate) + 1e-9) << t;
    }
  }
}

// The processor's root is the one that is computed with integers.
TEST(AdamTest, ARootIsCorrectlyRounded) {
  Random random(96);
  for (int round = 0; round < 20000; ++round) {
    const uint32_t bits = random.Int(0, 0x7f7fffff);
    float square;
    std::memcpy(&square, &bits, sizeof(square));
    EXPECT_EQ(AdamStepSize(1.0f, 1.0f, square), Sqrt(square)) << square;
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
