#include "tflm_ops/emulator/file_flash.h"

#include "tflm_ops/emulator/registers.h"
#include "tflm_ops/emulator/semihosting.h"

namespace medyate {
namespace {

const uint32_t kPageBytes = 4096;
const uint32_t kSliceBytes = 512;

}  // namespace

uint32_t FileFlash::page_bytes() const { return kPageBytes; }

bool FileFlash::IsOurs(uint32_t offset, uint32_t bytes) const {
  return offset >= first_ && offset <= end_ && bytes <= end_ - offset && offset % 4 == 0;
}

bool FileFlash::Erase(uint32_t offset) {
  if (!IsOurs(offset, kPageBytes) || offset % kPageBytes != 0) return false;
  for (int pass = 0; pass < 2; ++pass) {
    for (uint32_t slice = offset; slice < offset + kPageBytes; slice += kSliceBytes) {
      for (uint32_t word = slice; word < slice + kSliceBytes; word += 4) {
        Register(word) |= pass == 0 ? Random() : kErasedWord;
      }
      if (!Save(slice, kSliceBytes)) return false;
    }
  }
  return true;
}

bool FileFlash::Write(uint32_t offset, const uint32_t* words, uint32_t count) {
  if (count > kPageBytes / 4 || !IsOurs(offset, 4 * count)) return false;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t at = offset + 4 * i;
    const uint32_t half_written = words[i] | Random();
    if (!Put(at, half_written) || !Put(at, words[i])) return false;
  }
  return true;
}

bool FileFlash::Read(uint32_t offset, uint32_t* words, uint32_t count) const {
  if (count > kPageBytes / 4 || !IsOurs(offset, 4 * count)) return false;
  for (uint32_t i = 0; i < count; ++i) words[i] = Register(offset + 4 * i);
  return true;
}

bool FileFlash::Put(uint32_t offset, uint32_t word) {
  const uint32_t before = Register(offset);
  if ((before & word) == before) return true;
  Register(offset) = before & word;
  return Save(offset, 4);
}

// Into the file, what lies in memory.
bool FileFlash::Save(uint32_t offset, uint32_t bytes) {
  return semihosting::WriteAt(file_, offset, reinterpret_cast<const void*>(offset), bytes);
}

// Marsaglia's xorshift32: what bits do when they are cut off is anybody's guess.
uint32_t FileFlash::Random() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  return random_;
}

}  // namespace medyate
