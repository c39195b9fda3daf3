#include "tflm_ops/math/activations.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/bits.h"

namespace medyate {
namespace math {
namespace {

std::vector<float> Inputs(Random* random, int n) {
  auto x = random->Floats(n);
  for (float& value : x) value *= 9.0f;
  if (n > 2) x[random->Int(0, n - 1)] = 0.0f;
  return x;
}

TEST(BitsTest, RoundTrip) {
  Random random(61);
  for (int round = 0; round < 300; ++round) {
    const int width = random.Int(0, 24);
    const int count = random.Int(1, 70);
    std::vector<uint32_t> values(count);
    for (uint32_t& value : values) value = random.Int(0, (1 << width) - 1);
    // One byte more than needed must stay as it was.
    std::vector<uint8_t> bytes(PackedBytes(count, width) + 1, 0xA5);
    BitWriter writer(bytes.data());
    for (uint32_t value : values) writer.Put(value, width);
    writer.Finish();
    BitReader reader(bytes.data());
    for (uint32_t value : values) ASSERT_EQ(reader.Get(width), value);
    ASSERT_EQ(bytes.back(), 0xA5);
  }
}

TEST(BitsTest, PackedBytesCountsWholeBytes) {
  EXPECT_EQ(PackedBytes(8, 1), 1);
  EXPECT_EQ(PackedBytes(9, 1), 2);
  EXPECT_EQ(PackedBytes(3, 3), 2);
  EXPECT_EQ(PackedBytes(5, 0), 0);
}

// Forward and backward of the three gated functions against their formulas, element by element.
TEST(GatesTest, FollowTheFormulas) {
  const float kSlope = 0.25f;
  Random random(62);
  for (int round = 0; round < 200; ++round) {
    const int n = random.Int(1, 50);
    const auto x = Inputs(&random, n);
    const auto dy = random.Floats(n);
    for (int kind = 0; kind < 3; ++kind) {
      std::vector<float> y = x, without = x, dx = dy;  // In place.
      std::vector<uint8_t> gates(PackedBytes(n, 1) + 1, 0xA5);
      if (kind == 0) ReluForward(y.data(), n, y.data(), gates.data());
      if (kind == 1) Relu6Forward(y.data(), n, y.data(), gates.data());
      if (kind == 2) LeakyReluForward(y.data(), n, kSlope, y.data(), gates.data());
      if (kind == 0) ReluForward(x.data(), n, without.data(), nullptr);
      if (kind == 1) Relu6Forward(x.data(), n, without.data(), nullptr);
      if (kind == 2) LeakyReluForward(x.data(), n, kSlope, without.data(), nullptr);
      EXPECT_TRUE(SameBits(y, without));
      EXPECT_EQ(gates.back(), 0xA5);
      GateBackward(gates.data(), dx.data(), n, kind == 2 ? kSlope : 0.0f, dx.data());
      for (int i = 0; i < n; ++i) {
        const bool open = x[i] > 0.0f && (kind != 1 || x[i] < 6.0f);
        const float closed = kind == 2 ? kSlope : 0.0f;
        const float limit = kind == 1 && x[i] >= 6.0f ? 6.0f : closed * x[i];
        EXPECT_EQ(y[i], open ? x[i] : limit) << kind << " " << x[i];
        EXPECT_EQ(dx[i], open ? dy[i] : closed * dy[i]) << kind << " " << x[i];
      }
    }
  }
}

TEST(GatesTest, PassNanOnButNothingThroughAClosedGate) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  float y;
  uint8_t gate;
  ReluForward(&nan, 1, &y, &gate);
  EXPECT_TRUE(std::isnan(y));
  Relu6Forward(&nan, 1, &y, &gate);
  EXPECT_TRUE(std::isnan(y));
  LeakyReluForward(&nan, 1, 0.1f, &y, &gate);
  EXPECT_TRUE(std::isnan(y));
  HardSwishForward(&nan, 1, &y);
  EXPECT_TRUE(std::isnan(y));
  const uint8_t closed = 0;
  GateBackward(&closed, &nan, 1, 0.0f, &y);
  EXPECT_EQ(y, 0.0f);
}

// Numbers at which a comparison of bits could differ from one of numbers, eight at a time and
// alone.
TEST(GatesTest, TreatZerosInfinitiesAndNanOfEitherSignAsNumbersDo) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float least = std::numeric_limits<float>::denorm_min();
  const std::vector<float> x = {0.0f, -0.0f, infinity, -infinity, nan,   -nan,   least, -least,
                                6.0f, -6.0f, 5.875f,   6.125f,    3e38f, -3e38f, 1e-38f};
  const int n = static_cast<int>(x.size());
  for (bool is_relu6 : {false, true}) {
    std::vector<float> y(n), without(n);
    std::vector<uint8_t> gates(2);
    const auto forward = is_relu6 ? Relu6Forward : ReluForward;
    forward(x.data(), n, y.data(), gates.data());
    forward(x.data(), n, without.data(), nullptr);
    EXPECT_TRUE(SameBits(y, without));
    for (int i = 0; i < n; ++i) {
      const bool is_above = is_relu6 && x[i] >= 6.0f;
      const bool is_open = !(x[i] <= 0.0f) && !is_above;
      EXPECT_TRUE(SameBits({is_open ? x[i] : is_above ? 6.0f : 0.0f}, {y[i]})) << x[i];
      EXPECT_EQ((gates[i / 8] >> (i % 8)) & 1, is_open ? 1 : 0) << x[i];
    }
  }
}

TEST(HardSwishTest, FollowsTheFormulaAndItsDerivative) {
  Random random(63);
  auto x = Inputs(&random, 400);
  const auto dy = random.Floats(400);
  std::vector<float> y(400), dx(400);
  HardSwishForward(x.data(), 400, y.data());
  HardSwishBackward(x.data(), dy.data(), 400, dx.data());
  const auto exact = [](double v) { return v * std::min(std::max(v + 3.0, 0.0), 6.0) / 6.0; };
  for (int i = 0; i < 400; ++i) {
    // Four roundings of numbers up to 54 / 6.
    EXPECT_NEAR(y[i], exact(x[i]), 4 * 9 * 6e-8) << x[i];
    const double step = 1e-6;
    if (std::fabs(std::fabs(x[i]) - 3.0) < 1e-3) continue;  // No derivative at the corners.
    const double slope = (exact(x[i] + step) - exact(x[i] - step)) / (2 * step);
    // Quadratic between the corners, so the difference in double is exact to 1e-15 / step; three
    // roundings of numbers up to 9.
    EXPECT_NEAR(dx[i], dy[i] * slope, 3 * 9 * 6e-8) << x[i];
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
