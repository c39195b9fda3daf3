#include "tflm_ops/math/pooling.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/conv2d_reference.h"

namespace medyate {
namespace math {
namespace {

Axis DrawPoolAxis(Random* random) {
  const int in = random->Int(1, 9);
  const int kernel = random->Int(1, std::min(in, 4));
  const int stride = random->Int(1, 3);
  return random->Int(0, 1) == 0 ? SameAxis(in, kernel, stride, 1)
                                : ValidAxis(in, kernel, stride, 1);
}

PoolShape DrawPool(Random* random) {
  return {DrawPoolAxis(random), DrawPoolAxis(random), random->Int(1, 5)};
}

// Calls f(input offset, output offset, tap) for every pair that a window joins.
template <typename Function>
void ForEachPair(const PoolShape& s, Function f) {
  for (int o = 0; o < s.h.out * s.w.out; ++o) {
    for (int k = 0; k < s.h.kernel * s.w.kernel; ++k) {
      const int ih = reference::InputOf(s.h, o / s.w.out, k / s.w.kernel);
      const int iw = reference::InputOf(s.w, o % s.w.out, k % s.w.kernel);
      if (ih < 0 || iw < 0) continue;
      for (int c = 0; c < s.channels; ++c) {
        f((ih * s.w.in + iw) * s.channels + c, o * s.channels + c, k);
      }
    }
  }
}

TEST(MaxPoolTest, ForwardAndBackwardFollowTheLargest) {
  Random random(71);
  for (int round = 0; round < 300; ++round) {
    const PoolShape s = DrawPool(&random);
    SCOPED_TRACE(::testing::Message() << s.h << s.w << s.channels);
    const int outputs = s.h.out * s.w.out * s.channels;
    auto x = random.Floats(s.h.in * s.w.in * s.channels);
    for (float& value : x) value = std::floor(value * 4.0f);  // Many are equal.
    const auto dy = random.Floats(outputs);
    std::vector<float> largest(outputs, -100.0f), y(outputs), without(outputs);
    std::vector<int> from(outputs);
    ForEachPair(s, [&](int i, int o, int) {
      if (x[i] > largest[o]) {
        largest[o] = x[i];
        from[o] = i;
      }
    });
    std::vector<uint8_t> choices(MaxPoolChoiceBytes(s) + 1, 0xA5);
    MaxPoolForward(s, x.data(), y.data(), choices.data());
    MaxPoolForward(s, x.data(), without.data(), nullptr);
    ASSERT_TRUE(SameBits(largest, y));
    ASSERT_TRUE(SameBits(largest, without));
    ASSERT_EQ(choices.back(), 0xA5);
    std::vector<float> expected(x.size(), 0.0f), dx = random.Floats(x.size());
    for (int o = 0; o < outputs; ++o) expected[from[o]] += dy[o];
    ASSERT_TRUE(MaxPoolBackward(s, choices.data(), dy.data(), dx.data()));
    ASSERT_TRUE(SameBits(expected, dx));
  }
}

TEST(MaxPoolTest, ChoicesTakeTheLogarithmOfTheWindow) {
  EXPECT_EQ(MaxPoolChoiceBits({ValidAxis(4, 2, 2, 1), ValidAxis(4, 2, 2, 1), 1}), 2);
  EXPECT_EQ(MaxPoolChoiceBits({UnitAxis(1), ValidAxis(4, 2, 2, 1), 1}), 1);
  EXPECT_EQ(MaxPoolChoiceBits({ValidAxis(4, 3, 1, 1), ValidAxis(4, 3, 1, 1), 1}), 4);
  EXPECT_EQ(MaxPoolChoiceBits({UnitAxis(4), UnitAxis(4), 1}), 0);
  EXPECT_EQ(MaxPoolChoiceBytes({ValidAxis(4, 2, 2, 1), ValidAxis(4, 2, 2, 1), 3}), 3);
}

TEST(MaxPoolTest, FollowsNoChoiceOutOfItsWindow) {
  // Windows of three over two positions, padded: of the first, tap 0 is not there, of the second
  // tap 2; three is no tap.
  const PoolShape s = {UnitAxis(1), {2, 2, 3, 1, 1, 1}, 1};
  const float dy[] = {1.0f, 1.0f};
  float dx[3] = {0.0f, 0.0f, -7.0f};
  for (int choices = 0; choices < 16; ++choices) {
    const uint8_t packed = static_cast<uint8_t>(choices);
    const int first = choices & 3, second = choices >> 2;
    const bool inside = (first == 1 || first == 2) && (second == 0 || second == 1);
    EXPECT_EQ(MaxPoolBackward(s, &packed, dy, dx), inside) << choices;
    EXPECT_EQ(dx[2], -7.0f);
  }
}

TEST(MaxPoolTest, PassesNanOn) {
  const PoolShape s = {UnitAxis(1), ValidAxis(3, 3, 1, 1), 1};
  for (int place = 0; place < 3; ++place) {
    std::vector<float> x = {1.0f, 2.0f, 3.0f};
    x[place] = std::numeric_limits<float>::quiet_NaN();
    float y;
    MaxPoolForward(s, x.data(), &y, nullptr);
    EXPECT_TRUE(std::isnan(y)) << place;
  }
}

TEST(AveragePoolTest, ForwardAndBackwardFollowTheMean) {
  Random random(72);
  for (int round = 0; round < 300; ++round) {
    const PoolShape s = DrawPool(&random);
    SCOPED_TRACE(::testing::Message() << s.h << s.w << s.channels);
    const int outputs = s.h.out * s.w.out * s.channels;
    const auto x = random.Floats(s.h.in * s.w.in * s.channels);
    const auto dy = random.Floats(outputs);
    std::vector<float> sums(outputs), counts(outputs), y(outputs);
    ForEachPair(s, [&](int i, int o, int) {
      sums[o] += x[i];
      counts[o] += 1.0f;
    });
    for (int o = 0; o < outputs; ++o) sums[o] /= counts[o];
    AveragePoolForward(s, x.data(), y.data());
    ASSERT_TRUE(SameBits(sums, y));
    std::vector<float> expected(x.size(), 0.0f), dx = random.Floats(x.size());
    ForEachPair(s, [&](int i, int o, int) { expected[i] += dy[o] / counts[o]; });
    AveragePoolBackward(s, dy.data(), dx.data());
    ASSERT_TRUE(SameBits(expected, dx));
  }
}

TEST(GlobalAveragePoolTest, IsAnAveragePoolOfTheWholeMap) {
  Random random(73);
  for (int round = 0; round < 100; ++round) {
    const int h = random.Int(1, 6);
    const int w = random.Int(1, 6);
    const int channels = random.Int(1, 6);
    const PoolShape s = {ValidAxis(h, h, 1, 1), ValidAxis(w, w, 1, 1), channels};
    const auto x = random.Floats(h * w * channels);
    const auto dy = random.Floats(channels);
    std::vector<float> expected(channels), y(channels);
    AveragePoolForward(s, x.data(), expected.data());
    GlobalAveragePoolForward(x.data(), h * w, channels, y.data());
    ASSERT_TRUE(SameBits(expected, y));
    std::vector<float> expected_dx(x.size()), dx(x.size());
    AveragePoolBackward(s, dy.data(), expected_dx.data());
    GlobalAveragePoolBackward(dy.data(), h * w, channels, dx.data());
    ASSERT_TRUE(SameBits(expected_dx, dx));
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
