#include "tests/tflm_ops/support/digest.h"

#include "gtest/gtest.h"

namespace medyate {
namespace math {
namespace {

TEST(DigestTest, IsTheSameEverywhere) {
  static Digest digest;
  EXPECT_EQ(digest.Run(), kDigest);
}

}  // namespace
}  // namespace math
}  // namespace medyate
