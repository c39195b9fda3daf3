#include "tflm_ops/math/shape.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/conv2d_reference.h"
#include "tflm_ops/math/strips.h"

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

// What a walk told of each position, and how many strips of each kind it had.
struct Walk {
  std::vector<int> visits;
  int shared = 0;
  int border = 0;
};

// Checks that the positions of a strip use its taps: all of them, or those that miss the padding.
template <typename TapsOf>
void Check(const Strip& strip, const Axis& h, const Axis& w, int width, int read_width,
           TapsOf taps_of, Walk* walk) {
  if (strip.size == 4) ++(strip.width ? walk->border : walk->shared);
  for (int p = 0; p < strip.size; ++p) {
    const int position = strip.first + p * strip.step;
    ++walk->visits[position];
    const Taps th = taps_of(h, position / width);
    const Taps tw = taps_of(w, position % width);
    ASSERT_TRUE(SameTaps(th, strip.th));
    const int read = strip.read + p * strip.read_step;
    if (strip.width == 0) {
      ASSERT_TRUE(SameTaps(tw, strip.tw));
      if (th.count * tw.count > 0) {
        ASSERT_EQ(read, th.at * read_width + tw.at);
      }
      continue;
    }
    ASSERT_EQ(strip.width, read_width);
    ASSERT_EQ(strip.read, th.at * read_width);
    int met = 0;
    for (int k = 0; k < strip.tw.count; ++k) {
      const int column = strip.tw.at + k * strip.tw.at_step + p * strip.read_step;
      if (column < 0 || column >= read_width) continue;
      ASSERT_EQ(strip.tw.first + k * strip.tw.step, tw.first + met * tw.step);
      ASSERT_EQ(column, tw.at + met * tw.at_step);
      ++met;
    }
    ASSERT_EQ(met, tw.count);
  }
}

TEST(StripsTest, VisitEachPositionOnceWithItsTaps) {
  Random random(2);
  int shared = 0, border = 0;
  for (int round = 0; round < 1000; ++round) {
    const Axis h = random.DrawAxis(12);
    const Axis w = random.DrawAxis(12);
    const bool may_pad = random.Int(0, 1) == 1;
    SCOPED_TRACE(::testing::Message() << h << " by " << w);
    Walk out, in;
    out.visits.resize(h.out * w.out);
    in.visits.resize(h.in * w.in);
    ForEachOutputStrip(h, w, may_pad, [&](const Strip& strip) {
      Check(strip, h, w, w.out, w.in, TapsOfOutput, &out);
    });
    ForEachInputStrip(h, w, may_pad, [&](const Strip& strip) {
      Check(strip, h, w, w.in, w.out, TapsOfInput, &in);
    });
    ASSERT_EQ(out.visits, std::vector<int>(h.out * w.out, 1));
    ASSERT_EQ(in.visits, std::vector<int>(h.in * w.in, 1));
    ASSERT_TRUE(may_pad || out.border + in.border == 0);
    shared += out.shared + in.shared;
    border += out.border + in.border;
  }
  EXPECT_GT(shared, 1000);
  EXPECT_GT(border, 200);
}

}  // namespace
}  // namespace math
}  // namespace medyate
