#include "tests/tflm_ops/support/digest.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/frozen_digest.h"
#include "tests/tflm_ops/support/int8_digest.h"

namespace medyate {
namespace math {
namespace {

TEST(DigestTest, IsTheSameEverywhere) {
  static Digest digest;
  EXPECT_EQ(digest.Run(), kDigest);
}

TEST(DigestTest, OfInt8IsTheSameEverywhere) {
  static Int8Digest digest;
  EXPECT_EQ(digest.Run(), kInt8Digest);
}

TEST(DigestTest, OfFrozenLayersIsTheSameEverywhere) {
  static FrozenDigest digest;
  EXPECT_EQ(digest.Run(), kFrozenDigest);
}

// One position alone is half of a pair: the other half, whatever the scratch memory held, may not
// overflow a sum (a sanitizer tells).
TEST(Int8Conv2dTest, SumsNothingThatScratchMemoryHeld) {
  const int kDepth = 600;
  const ConvShape shape = {UnitAxis(1), UnitAxis(1), kDepth, 2};
  std::vector<int8_t> x(kDepth, 1), w(2 * kDepth, 127);
  const int32_t bias[] = {0, 0}, multiplier[] = {1 << 30, 1 << 30}, shift[] = {11, 11};
  int8_t y[] = {0, 0};
  std::vector<int32_t> scratch(Int8PatchBytes(shape) / 4 + 1, 0x7fff7fff);
  Int8Conv2dForward(shape, x.data(), 0, w.data(), {bias, multiplier, shift, 0}, scratch.data(), y);
  for (int8_t value : y) EXPECT_EQ(value, 19);  // 600 * 127 / 2^12, rounded.
}

}  // namespace
}  // namespace math
}  // namespace medyate
