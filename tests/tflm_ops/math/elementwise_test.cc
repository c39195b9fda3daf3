#include "tflm_ops/math/elementwise.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"

namespace medyate {
namespace math {
namespace {

TEST(AddTest, AddsAndHandsTheGradientOn) {
  Random random(81);
  const auto a = random.Floats(17);
  const auto b = random.Floats(17);
  std::vector<float> y = b, sum = a, da(17), db = a;
  AddForward(a.data(), y.data(), 17, y.data());
  Accumulate(b.data(), 17, sum.data());
  EXPECT_TRUE(SameBits(sum, y));
  for (int i = 0; i < 17; ++i) EXPECT_EQ(y[i], a[i] + b[i]);
  AddBackward(db.data(), 17, da.data(), db.data());
  EXPECT_TRUE(SameBits(a, da));
  EXPECT_TRUE(SameBits(a, db));
}

TEST(ConcatTest, PartsGoToTheirPlacesAndBack) {
  Random random(82);
  for (int round = 0; round < 100; ++round) {
    const int blocks = random.Int(1, 6);
    std::vector<ConcatPart> parts(random.Int(1, 4));
    int total = 0;
    for (ConcatPart& part : parts) {
      part = {blocks, random.Int(1, 7), 0, total};
      total += part.block;
    }
    std::vector<float> y(blocks * total);
    std::vector<std::vector<float>> inputs;
    for (ConcatPart& part : parts) {
      part.total = total;
      inputs.push_back(random.Floats(blocks * part.block));
      ConcatForward(part, inputs.back().data(), y.data());
    }
    for (size_t p = 0; p < parts.size(); ++p) {
      for (int e = 0; e < blocks * parts[p].block; ++e) {
        const int at = e / parts[p].block * total + parts[p].offset + e % parts[p].block;
        ASSERT_EQ(y[at], inputs[p][e]);
      }
      std::vector<float> dx(inputs[p].size());
      ConcatBackward(parts[p], y.data(), dx.data());
      ASSERT_TRUE(SameBits(inputs[p], dx));
    }
  }
}

TEST(PadTest, SurroundsAndCropsBack) {
  Random random(83);
  for (int round = 0; round < 100; ++round) {
    const PadShape s = {random.Int(1, 5), random.Int(1, 5), random.Int(1, 4), random.Int(0, 2),
                        random.Int(0, 2), random.Int(0, 2), random.Int(0, 2)};
    const int rows = s.top + s.height + s.bottom;
    const int columns = s.left + s.width + s.right;
    const auto x = random.Floats(s.height * s.width * s.channels);
    auto y = random.Floats(rows * columns * s.channels);
    PadForward(s, x.data(), 7.0f, y.data());
    for (int e = 0; e < rows * columns * s.channels; ++e) {
      const int h = e / s.channels / columns - s.top;
      const int w = e / s.channels % columns - s.left;
      const bool inside = h >= 0 && h < s.height && w >= 0 && w < s.width;
      const int from = (h * s.width + w) * s.channels + e % s.channels;
      ASSERT_EQ(y[e], inside ? x[from] : 7.0f);
    }
    std::vector<float> dx(x.size());
    PadBackward(s, y.data(), dx.data());
    ASSERT_TRUE(SameBits(x, dx));
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
