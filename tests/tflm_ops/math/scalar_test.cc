#include "tflm_ops/math/scalar.h"

#include <stdint.h>
#include <string.h>

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"

namespace medyate {
namespace math {
namespace {

const float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

float FromBits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

// |actual - exact| in units of the last place of the float next to `exact` (denormal spacing at
// least). `exact` comes from the C library in double, some 2^29 times finer than what is judged.
double UlpError(double exact, float actual) {
  int exponent;
  std::frexp(exact, &exponent);
  return std::fabs(actual - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

// Every 911th float (a prime), some 4.7 million of them.
template <typename Function>
void ForManyFloats(Function f) {
  for (uint64_t bits = 0; bits < (1ull << 32); bits += 911) {
    const float x = FromBits(static_cast<uint32_t>(bits));
    if (std::isfinite(x)) f(x);
  }
}

TEST(ExpTest, IsWithinTwoUlp) {
  double worst = 0;
  ForManyFloats([&worst](float x) {
    if (x < -104.0f || x > 88.72f) return;
    worst = std::max(worst, UlpError(std::exp(static_cast<double>(x)), Exp(x)));
  });
  // Most floats are tiny; the range that matters is walked evenly.
  for (float x = -104.0f; x < 88.72f; x += 1.0f / 16384.0f) {
    worst = std::max(worst, UlpError(std::exp(static_cast<double>(x)), Exp(x)));
  }
  EXPECT_LE(worst, 2.0);  // The bound that scalar.h promises.
  RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(ExpTest, MeetsTheEndsOfItsRange) {
  EXPECT_EQ(Exp(0.0f), 1.0f);
  EXPECT_EQ(Exp(-0.0f), 1.0f);
  EXPECT_EQ(Exp(kInfinity), kInfinity);
  EXPECT_EQ(Exp(-kInfinity), 0.0f);
  EXPECT_EQ(Exp(88.73f), kInfinity);
  EXPECT_EQ(Exp(1e30f), kInfinity);
  EXPECT_EQ(Exp(-1e30f), 0.0f);
  EXPECT_GT(Exp(-103.0f), 0.0f);
  EXPECT_TRUE(std::isnan(Exp(kNan)));
}

TEST(LogTest, IsWithinTwoUlp) {
  double worst = 0;
  ForManyFloats([&worst](float x) {
    if (x <= 0.0f || x == 1.0f) return;
    worst = std::max(worst, UlpError(std::log(static_cast<double>(x)), Log(x)));
  });
  for (uint32_t bits = 0x3F000000u; bits < 0x40000000u; bits += 3) {  // 0.5 to 2.
    const float x = FromBits(bits);
    if (x == 1.0f) continue;
    worst = std::max(worst, UlpError(std::log(static_cast<double>(x)), Log(x)));
  }
  EXPECT_LE(worst, 2.0);  // The bound that scalar.h promises.
  RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(LogTest, MeetsTheEndsOfItsRange) {
  EXPECT_EQ(Log(1.0f), 0.0f);
  EXPECT_EQ(Log(0.0f), -kInfinity);
  EXPECT_EQ(Log(-0.0f), -kInfinity);
  EXPECT_EQ(Log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(Log(-1.0f)));
  EXPECT_TRUE(std::isnan(Log(-kInfinity)));
  EXPECT_TRUE(std::isnan(Log(kNan)));
}

TEST(SqrtTest, IsCorrectlyRounded) {
  int wrong = 0;
  // IEEE 754 asks the C library's square root to be correctly rounded too.
  ForManyFloats([&wrong](float x) {
    if (x >= 0.0f && Sqrt(x) != std::sqrt(x)) ++wrong;
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(Sqrt(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(Sqrt(-1.0f)));
  EXPECT_TRUE(std::isnan(Sqrt(-kInfinity)));
  EXPECT_TRUE(std::isnan(Sqrt(kNan)));
}

TEST(IsFiniteTest, KnowsInfinityAndNan) {
  EXPECT_TRUE(IsFinite(0.0f));
  EXPECT_TRUE(IsFinite(-std::numeric_limits<float>::max()));
  EXPECT_FALSE(IsFinite(kInfinity));
  EXPECT_FALSE(IsFinite(-kInfinity));
  EXPECT_FALSE(IsFinite(kNan));
}

TEST(AreFiniteTest, LooksAtAllOfThem) {
  for (int i = 0; i < 3; ++i) {
    float x[] = {1.0f, -2.0f, 0.0f};
    EXPECT_TRUE(AreFinite(x, 3));
    x[i] = i == 1 ? -kInfinity : kNan;
    EXPECT_FALSE(AreFinite(x, 3));
    EXPECT_EQ(AreFinite(x, 2), i == 2);
    EXPECT_TRUE(AreFinite(x, 0));
  }
}

// The bits that every host and board must produce: a sum over many arguments, computed once.
// Change it only together with the functions.
TEST(ScalarTest, ResultsAreTheSameEverywhere) {
  uint32_t hash = 2166136261u;
  Random random(41);
  for (int i = 0; i < 10000; ++i) {
    const float x = random.Float() * 80.0f;
    for (float result : {Exp(x), Log(x * x), Sqrt(x * x + 1.0f)}) {
      uint32_t bits;
      memcpy(&bits, &result, sizeof(bits));
      hash = (hash ^ bits) * 16777619u;
    }
  }
  EXPECT_EQ(hash, 423202763u);
}

}  // namespace
}  // namespace math
}  // namespace medyate
