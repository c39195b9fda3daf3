#include "tflm_ops/store/crc32.h"

#include <string.h>

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"

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

// Pages of 4 KiB, and the largest length that the header promises this for.
TEST(Crc32Test, TellsOneFlippedBitFromTwo) {
  math::Random random(2);
  for (uint32_t words : {1u, 16u, 1024u, 2816u}) {
    std::vector<uint32_t> data(words);
    for (uint32_t& word : data) word = static_cast<uint32_t>(random.Int(0, 1 << 30));
    const std::vector<uint32_t> right = data;
    const uint32_t crc = Crc32(0, data.data(), 4 * words);
    EXPECT_TRUE(MendBit(data.data(), words, crc));
    EXPECT_EQ(data, right);
    const int last = static_cast<int>(32 * words) - 1;
    for (int round = 0; round < 60; ++round) {
      const int one = round == 0 ? 0 : round == 1 ? last : random.Int(0, last);
      const int other = random.Int(0, last);
      data[one / 32] ^= 1u << (one % 32);
      const uint32_t difference = Crc32(0, data.data(), 4 * words) ^ crc;
      EXPECT_EQ(FlippedBit(difference, words), static_cast<uint32_t>(one));
      if (other != one) {
        data[other / 32] ^= 1u << (other % 32);
        EXPECT_FALSE(MendBit(data.data(), words, crc)) << one << " " << other;
        data[other / 32] ^= 1u << (other % 32);
      }
      EXPECT_TRUE(MendBit(data.data(), words, crc));
      EXPECT_EQ(data, right);
    }
    EXPECT_FALSE(MendBit(data.data(), words, crc ^ 1)) << "a bit of the CRC is none of the data's";
  }
}

}  // namespace
}  // namespace medyate
