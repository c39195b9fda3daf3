#include "tflm_ops/math/losses.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace math {
namespace {

const float kEpsilon = std::numeric_limits<float>::epsilon();

std::vector<float> Logits(Random* random, int classes) {
  auto logits = random->Floats(classes);
  for (float& logit : logits) logit *= 10.0f;
  return logits;
}

double ExactLoss(const std::vector<float>& logits, int label) {
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit) - logits[label]);
  return std::log(sum);
}

TEST(SoftmaxCrossEntropyTest, EqualsItsDefinition) {
  Random random(51);
  for (int round = 0; round < 500; ++round) {
    const int classes = random.Int(1, 30);
    const int label = random.Int(0, classes - 1);
    const auto logits = Logits(&random, classes);
    std::vector<float> probabilities(classes);
    const float loss =
        SoftmaxCrossEntropyForward(logits.data(), classes, label, probabilities.data());
    const double exact = ExactLoss(logits, label);
    // Logits up to 10 in size: their differences are rounded at 20, which the exponentials (2 ulp)
    // and the logarithm (2 ulp of at most log 30) pass on.
    EXPECT_NEAR(loss, exact, 20.0 * kEpsilon + 4.0 * kEpsilon * 4.0);
    EXPECT_GE(loss, 0.0f);
    for (int i = 0; i < classes; ++i) {
      const double exact_probability = std::exp(-ExactLoss(logits, i));
      // Relative: 20 for the rounded difference, 2 for each exponential, half for the quotient,
      // and for the sum of 30 at most 30 half units.
      EXPECT_NEAR(probabilities[i], exact_probability, 40.0 * kEpsilon * exact_probability);
    }
    std::vector<float> softmax = logits;
    Softmax(softmax.data(), classes, softmax.data());
    EXPECT_TRUE(SameBits(probabilities, softmax));
  }
}

TEST(SoftmaxCrossEntropyTest, GradientIsCentralDifference) {
  Random random(52);
  for (int round = 0; round < 100; ++round) {
    const int classes = random.Int(1, 8);
    const int label = random.Int(0, classes - 1);
    auto logits = Logits(&random, classes);
    std::vector<float> gradient(classes);
    SoftmaxCrossEntropyForward(logits.data(), classes, label, gradient.data());
    SoftmaxCrossEntropyBackward(gradient.data(), classes, label, 1.0f, gradient.data());
    // The exact loss in double: its difference is off by step^2 / 6 times a third derivative of at
    // most 1, 2e-7 (and logit + step is rounded: 1e-6 / step of the derivative at most 5e-4).
    ExpectGradient([&] { return ExactLoss(logits, label); }, &logits, gradient, 1.0f / 1024.0f,
                   5e-4);
  }
}

TEST(SoftmaxCrossEntropyTest, BearsLargeLogitsAndPassesNanOn) {
  std::vector<float> probabilities(3);
  const float huge[] = {1e30f, -1e30f, 0.0f};
  EXPECT_EQ(SoftmaxCrossEntropyForward(huge, 3, 0, probabilities.data()), 0.0f);
  EXPECT_EQ(probabilities[0], 1.0f);
  EXPECT_EQ(probabilities[1], 0.0f);
  for (int place = 0; place < 3; ++place) {
    float logits[] = {1.0f, 2.0f, 3.0f};
    logits[place] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(IsFinite(SoftmaxCrossEntropyForward(logits, 3, 1, probabilities.data())));
    logits[place] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(IsFinite(SoftmaxCrossEntropyForward(logits, 3, 1, probabilities.data())));
  }
}

TEST(SoftmaxCrossEntropyTest, BackwardScales) {
  const float probabilities[] = {0.25f, 0.75f};
  float gradient[2];
  SoftmaxCrossEntropyBackward(probabilities, 2, 1, 2.0f, gradient);
  EXPECT_EQ(gradient[0], 0.5f);
  EXPECT_EQ(gradient[1], -0.5f);
}

TEST(MeanSquaredErrorTest, GradientIsCentralDifference) {
  Random random(53);
  for (int round = 0; round < 100; ++round) {
    const int n = random.Int(1, 10);
    auto outputs = random.Floats(n);
    const auto targets = random.Floats(n);
    std::vector<float> gradient(n);
    MeanSquaredErrorBackward(outputs.data(), targets.data(), n, 3.0f, gradient.data());
    // Quadratic: central differences have no truncation error. The loss, at most 16 with outputs
    // up to 2.25, is rounded n times: 10 * 16 * 2^-24 over a distance of 0.5.
    ExpectGradient([&] { return 3.0 * MeanSquaredErrorForward(outputs.data(), targets.data(), n); },
                   &outputs, gradient, 0.25f, 3.0 * 2e-5);
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
