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
    std::vector<float> probabilities = logits, gradient(classes);
    Softmax(logits.data(), classes, probabilities.data());
    const float loss = SoftmaxCrossEntropy(logits.data(), classes, label, 0.0f, gradient.data());
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
      EXPECT_EQ(gradient[i], probabilities[i] - (i == label ? 1.0f : 0.0f));
    }
  }
}

TEST(SoftmaxCrossEntropyTest, GradientIsCentralDifference) {
  Random random(52);
  for (int round = 0; round < 100; ++round) {
    const int classes = random.Int(1, 8);
    const int label = random.Int(0, classes - 1);
    auto logits = Logits(&random, classes);
    std::vector<float> gradient(classes);
    SoftmaxCrossEntropy(logits.data(), classes, label, 0.0f, gradient.data());
    // The exact loss in double: its difference is off by step^2 / 6 times a third derivative of at
    // most 1, 2e-7 (and logit + step is rounded: 1e-6 / step of the derivative at most 5e-4).
    ExpectGradient([&] { return ExactLoss(logits, label); }, &logits, gradient, 1.0f / 1024.0f,
                   5e-4);
  }
}

TEST(SoftmaxCrossEntropyTest, BearsLargeLogitsAndPassesNanOn) {
  std::vector<float> gradient(3);
  const float huge[] = {1e30f, -1e30f, 0.0f};
  EXPECT_EQ(SoftmaxCrossEntropy(huge, 3, 0, 0.0f, gradient.data()), 0.0f);
  EXPECT_EQ(gradient[0], 0.0f);
  EXPECT_EQ(gradient[1], 0.0f);
  for (int place = 0; place < 3; ++place) {
    float logits[] = {1.0f, 2.0f, 3.0f};
    logits[place] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(IsFinite(SoftmaxCrossEntropy(logits, 3, 1, 0.0f, gradient.data())));
    logits[place] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(IsFinite(SoftmaxCrossEntropy(logits, 3, 1, 0.0f, gradient.data())));
  }
}

// Label smoothing is the mean over all labels, in part.
TEST(SoftmaxCrossEntropyTest, SmoothsLabels) {
  Random random(54);
  for (int round = 0; round < 100; ++round) {
    const int classes = random.Int(1, 8);
    const int label = random.Int(0, classes - 1);
    auto logits = Logits(&random, classes);
    std::vector<float> gradient(classes);
    const float loss = SoftmaxCrossEntropy(logits.data(), classes, label, 0.3f, gradient.data());
    const auto exact = [&] {
      double all = 0;
      for (int i = 0; i < classes; ++i) all += ExactLoss(logits, i) / classes;
      return (1.0 - 0.3f) * ExactLoss(logits, label) + 0.3f * all;
    };
    // As without, and 8 more roundings of a sum of at most 8 * 20.
    EXPECT_NEAR(loss, exact(), 200.0 * kEpsilon);
    ExpectGradient(exact, &logits, gradient, 1.0f / 1024.0f, 5e-4);
  }
}

struct TargetLoss {
  float (*compute)(const float* outputs, const float* targets, int n, float* gradient);
  double (*exact)(double output, double target);
  double curvature;  // Bound of the third derivative.
};

double ExactHuber(double output, double target) {
  const double size = std::fabs(output - target);
  return size > 0.5 ? 0.5 * size - 0.125 : size * size / 2;
}

double ExactSigmoidCrossEntropy(double logit, double target) {
  const double smooth = target * (1.0 - 0.1f) + 0.5 * 0.1f;
  return std::log1p(std::exp(logit)) - logit * smooth;
}

const TargetLoss kTargetLosses[] = {
    {MeanSquaredError, [](double x, double y) { return (x - y) * (x - y); }, 0.0},
    {MeanAbsoluteError, [](double x, double y) { return std::fabs(x - y); }, 0.0},
    {[](const float* x, const float* y, int n, float* dx) { return Huber(x, y, n, 0.5f, dx); },
     ExactHuber, 0.0},
    {[](const float* x, const float* y, int n, float* dx) {
       return SigmoidCrossEntropy(x, y, n, 0.1f, dx);
     },
     ExactSigmoidCrossEntropy, 0.1},
};

TEST(TargetLossTest, LossAndGradientAreThoseOfTheDefinition) {
  Random random(53);
  for (const TargetLoss& loss : kTargetLosses) {
    for (int round = 0; round < 100; ++round) {
      const int n = random.Int(1, 10);
      auto outputs = random.Floats(n);
      auto targets = random.Floats(n);
      for (int i = 0; i < n; ++i) {
        targets[i] = std::fmin(std::fabs(targets[i]), 1.0f);
        // Away from the corners of the absolute error and of Huber's derivative.
        const float size = std::fabs(outputs[i] - targets[i]);
        if (size < 0.1f || std::fabs(size - 0.5f) < 0.1f) outputs[i] = targets[i] + 1.0f;
      }
      std::vector<float> gradient(n);
      const float value = loss.compute(outputs.data(), targets.data(), n, gradient.data());
      const auto exact = [&] {
        double sum = 0;
        for (int i = 0; i < n; ++i) sum += loss.exact(outputs[i], targets[i]);
        return sum / n;
      };
      // Terms of at most 16, each rounded a few times, and their sum n times.
      EXPECT_NEAR(value, exact(), 16.0 * (n + 6) * kEpsilon);
      EXPECT_GE(value, 0.0f);
      // The definition in double: a difference over 2^-6 is off by a sixth of its square times the
      // third derivative, and outputs are rounded by 1e-7 of it.
      ExpectGradient(exact, &outputs, gradient, 1.0f / 64.0f, 2e-5 + loss.curvature / 4096);
    }
  }
}

TEST(TargetLossTest, BearsLargeOutputsAndPassesNanOn) {
  float gradient[2];
  const float huge[] = {1e30f, -1e30f}, right[] = {1.0f, 0.0f}, wrong[] = {0.0f, 1.0f};
  EXPECT_EQ(SigmoidCrossEntropy(huge, right, 2, 0.0f, gradient), 0.0f);
  EXPECT_EQ(SigmoidCrossEntropy(huge, wrong, 2, 0.0f, gradient), 1e30f);
  EXPECT_EQ(gradient[0], 0.5f);
  EXPECT_EQ(gradient[1], -0.5f);
  for (const TargetLoss& loss : kTargetLosses) {
    const float broken[] = {1.0f, std::numeric_limits<float>::quiet_NaN()};
    EXPECT_FALSE(IsFinite(loss.compute(broken, right, 2, gradient)));
    const float endless[] = {std::numeric_limits<float>::infinity(), 0.0f};
    EXPECT_FALSE(IsFinite(loss.compute(endless, right, 2, gradient)));
  }
}

TEST(TargetLossTest, AnAbsoluteErrorOfZeroHasNoGradient) {
  const float same[] = {0.25f};
  float gradient[] = {9.0f};
  EXPECT_EQ(MeanAbsoluteError(same, same, 1, gradient), 0.0f);
  EXPECT_EQ(gradient[0], 0.0f);
}

}  // namespace
}  // namespace math
}  // namespace medyate
