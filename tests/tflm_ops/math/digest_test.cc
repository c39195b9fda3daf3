#include "tests/tflm_ops/support/digest.h"

#include "gtest/gtest.h"
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

}  // namespace
}  // namespace math
}  // namespace medyate
