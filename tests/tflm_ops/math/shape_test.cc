#include "tflm_ops/math/shape.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/conv2d_reference.h"

namespace medyate {
namespace math {
namespace {

TEST(AxisTest, PadsAsTensorFlowDoes) {
  // tf.nn.conv1d, padding "SAME": 2 = ceil(5 / 3); (2 - 1) * 3 + 3 - 5 = 1 position of padding,
  // after the input.
  EXPECT_EQ(SameAxis(5, 3, 3, 1).out, 2);
  EXPECT_EQ(SameAxis(5, 3, 3, 1).pad, 0);
  EXPECT_EQ(SameAxis(6, 3, 2, 1).pad, 0);
  EXPECT_EQ(SameAxis(5, 3, 2, 1).pad, 1);
  EXPECT_EQ(SameAxis(5, 3, 1, 2).pad, 2);
  EXPECT_EQ(ValidAxis(7, 3, 2, 2).out, 2);
}

TEST(TapsTest, AreThePairsThatMeet) {
  Random random(1);
  for (int round = 0; round < 2000; ++round) {
    const Axis a = random.DrawAxis(12);
    SCOPED_TRACE(::testing::Message() << a);
    for (int out = 0; out < a.out; ++out) {
      const Taps taps = TapsOfOutput(a, out);
      int met = 0;
      for (int k = 0; k < a.kernel; ++k) {
        const int in = reference::InputOf(a, out, k);
        if (in < 0) continue;
        ASSERT_EQ(k, taps.first + met * taps.step);
        ASSERT_EQ(in, taps.at + met * taps.at_step);
        ++met;
      }
      ASSERT_EQ(met, taps.count);
    }
    for (int in = 0; in < a.in; ++in) {
      const Taps taps = TapsOfInput(a, in);
      int met = 0;
      for (int k = 0; k < a.kernel; ++k) {
        const int out = reference::OutputOf(a, in, k);
        if (out < 0) continue;
        ASSERT_EQ(k, taps.first + met * taps.step);
        ASSERT_EQ(out, taps.at + met * taps.at_step);
        ++met;
      }
      ASSERT_EQ(met, taps.count);
    }
    for (int k = 0; k < a.kernel; ++k) {
      const Range range = OutputsOfTap(a, k);
      for (int out = 0; out < a.out; ++out) {
        ASSERT_EQ(reference::InputOf(a, out, k) >= 0, out >= range.begin && out < range.end);
      }
    }
  }
}

TEST(TapsTest, AreSharedByFourNeighbours) {
  Random random(2);
  int shared = 0;
  for (int round = 0; round < 5000; ++round) {
    const Axis a = random.DrawAxis(12);
    SCOPED_TRACE(::testing::Message() << a);
    for (int out = 0; out < a.out; ++out) {
      const Taps taps = TapsOfOutput(a, out);
      if (!FourOutputsShareTaps(a, out, taps)) continue;
      for (int j = 0; j < 4; ++j) {
        const Taps other = TapsOfOutput(a, out + j);
        ASSERT_TRUE(SameTaps(taps, other));
        if (taps.count > 0) {
          ASSERT_EQ(other.at, taps.at + j * a.stride);
        }
        ++shared;
      }
    }
    for (int in = 0; in < a.in; ++in) {
      const Taps taps = TapsOfInput(a, in);
      if (!FourInputsShareTaps(a, in, taps)) continue;
      for (int j = 0; j < 4; ++j) {
        const Taps other = TapsOfInput(a, in + j * a.stride);
        ASSERT_TRUE(SameTaps(taps, other));
        if (taps.count > 0) {
          ASSERT_EQ(other.at, taps.at + j);
        }
        ++shared;
      }
    }
  }
  EXPECT_GT(shared, 1000);
}

}  // namespace
}  // namespace math
}  // namespace medyate
