#include "tflm_ops/store/crc32.h"

#include <string.h>

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/test_util.h"

namespace medyate {
namespace {

// Bit by bit, as the polynomial is defined.
uint32_t Naive(const std::vector<uint8_t>& bytes) {
  uint32_t crc = 0xffffffffu;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

TEST(Crc32Test, GivesThePublishedCheckValues) {
  EXPECT_EQ(Crc32(0, "", 0), 0u);
  EXPECT_EQ(Crc32(0, "123456789", 9), 0xcbf43926u);
  EXPECT_EQ(Crc32(0, "The quick brown fox jumps over the lazy dog", 43), 0x414fa339u);
}

TEST(Crc32Test, IsThePolynomialAndAccumulates) {
  math::Random random(1);
  for (int n = 0; n < 200; ++n) {
    std::vector<uint8_t> bytes(n);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Int(0, 255));
    const size_t half = static_cast<size_t>(random.Int(0, n));
    EXPECT_EQ(Crc32(0, bytes.data(), bytes.size()), Naive(bytes));
    EXPECT_EQ(Crc32(Crc32(0, bytes.data(), half), bytes.data() + half, bytes.size() - half),
              Naive(bytes));
  }
}

}  // namespace
}  // namespace medyate
