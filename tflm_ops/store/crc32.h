#ifndef TFLM_OPS_STORE_CRC32_H_
#define TFLM_OPS_STORE_CRC32_H_

#include <stddef.h>
#include <stdint.h>

namespace medyate {

// CRC-32 of IEEE 802.3, that of zlib and of Python's `zlib.crc32`, over `bytes` bytes. Accumulates:
// pass 0 first, then what the call before returned. Needs a table of 64 bytes.
uint32_t Crc32(uint32_t crc, const void* data, size_t bytes);

}  // namespace medyate

#endif  // TFLM_OPS_STORE_CRC32_H_
