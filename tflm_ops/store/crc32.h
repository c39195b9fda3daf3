#ifndef TFLM_OPS_STORE_CRC32_H_
#define TFLM_OPS_STORE_CRC32_H_

#include <stddef.h>
#include <stdint.h>

namespace medyate {

// CRC-32 of IEEE 802.3, that of zlib and of Python's `zlib.crc32`, over `bytes` bytes. Accumulates:
// pass 0 first, then what the call before returned. Needs a table of 64 bytes.
uint32_t Crc32(uint32_t crc, const void* data, size_t bytes);

constexpr uint32_t kNoBit = 0xffffffffu;

// The one bit that was flipped in `words` words, by what their CRC-32 is and what it should be.
// Up to 11 KiB two flipped bits are never taken for one: this CRC's distance is 4 there.
//
// Args:
//   difference: the exclusive or of both CRCs.
//
// Returns:
//   The bit's number, bit 0 of the first word being 0; kNoBit if it was not a single one.
uint32_t FlippedBit(uint32_t difference, uint32_t words);

// Flips that bit back in words [words] of which the CRC-32 should be `crc`. False if they are wrong
// in another way; they stay as they are then.
bool MendBit(uint32_t* data, uint32_t words, uint32_t crc);

}  // namespace medyate

#endif  // TFLM_OPS_STORE_CRC32_H_
