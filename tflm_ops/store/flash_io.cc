#include "tflm_ops/store/flash_io.h"

#include "tflm_ops/store/crc32.h"

namespace medyate {
namespace {

const uint32_t kChunkWords = 16;

uint32_t ChunkOf(uint32_t words) { return words < kChunkWords ? words : kChunkWords; }

bool ReadsAsErased(const Flash& flash, uint32_t offset, uint32_t words) {
  uint32_t chunk[kChunkWords];
  while (words > 0) {
    const uint32_t n = ChunkOf(words);
    if (!flash.Read(offset, chunk, n)) return false;
    for (uint32_t i = 0; i < n; ++i) {
      if (chunk[i] != kErasedWord) return false;
    }
    offset += 4 * n;
    words -= n;
  }
  return true;
}

}  // namespace

bool WriteVerified(Flash* flash, uint32_t offset, const uint32_t* words, uint32_t count) {
  if (!flash->Write(offset, words, count)) return false;
  uint32_t chunk[kChunkWords];
  while (count > 0) {
    const uint32_t n = ChunkOf(count);
    if (!flash->Read(offset, chunk, n)) return false;
    for (uint32_t i = 0; i < n; ++i) {
      if (chunk[i] != words[i]) return false;
    }
    offset += 4 * n;
    words += n;
    count -= n;
  }
  return true;
}

bool ErasePage(Flash* flash, uint32_t offset) {
  return flash->Erase(offset) && ReadsAsErased(*flash, offset, flash->page_bytes() / 4);
}

bool ReplacePage(Flash* flash, uint32_t offset, const uint32_t* words, uint32_t count) {
  return ErasePage(flash, offset) && WriteVerified(flash, offset, words, count);
}

bool FlashCrc(const Flash& flash, uint32_t offset, uint32_t bytes, uint32_t* crc) {
  uint32_t chunk[kChunkWords];
  while (bytes > 0) {
    const uint32_t n = ChunkOf(bytes / 4);
    if (!flash.Read(offset, chunk, n)) return false;
    *crc = Crc32(*crc, chunk, 4 * n);
    offset += 4 * n;
    bytes -= 4 * n;
  }
  return true;
}

}  // namespace medyate
