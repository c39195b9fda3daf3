#include "tflm_ops/store/crc32.h"

namespace medyate {
namespace {

// The remainders of the 16 values of a nibble, polynomial 0x04C11DB7 with its bits reversed.
const uint32_t kNibble[16] = {
    0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
    0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
    0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
};

const uint32_t kPolynomial = 0xedb88320u;

}  // namespace

uint32_t Crc32(uint32_t crc, const void* data, size_t bytes) {
  const uint8_t* byte = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (size_t i = 0; i < bytes; ++i) {
    crc ^= byte[i];
    crc = (crc >> 4) ^ kNibble[crc & 15];
    crc = (crc >> 4) ^ kNibble[crc & 15];
  }
  return ~crc;
}

uint32_t FlippedBit(uint32_t difference, uint32_t words) {
  uint32_t effect =
      1;  // On the CRC, of a bit that is shifted through it: from the last to the first.
  for (uint32_t bit = 32 * words; bit-- > 0;) {
    effect = (effect & 1) != 0 ? (effect >> 1) ^ kPolynomial : effect >> 1;
    if (effect == difference) return bit;
  }
  return kNoBit;
}

bool MendBit(uint32_t* data, uint32_t words, uint32_t crc) {
  const uint32_t difference = Crc32(0, data, 4 * words) ^ crc;
  if (difference == 0) return true;
  const uint32_t bit = FlippedBit(difference, words);
  if (bit == kNoBit) return false;
  data[bit / 32] ^= 1u << (bit % 32);
  return true;
}

}  // namespace medyate
