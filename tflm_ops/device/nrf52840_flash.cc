#include "tflm_ops/device/nrf52840_flash.h"

namespace medyate {
namespace {

const uint32_t kPageBytes = 4096;
const uint32_t kFlashBytes = 1024 * 1024;
const uint32_t kEraseMilliseconds = 85;
const uint32_t kLongestSlice = 127;  // ERASEPAGEPARTIALCFG has seven bits.

// The controller's registers, by address.
const uintptr_t kReady = 0x4001e400u;
const uintptr_t kConfig = 0x4001e504u;
const uintptr_t kErasePage = 0x4001e508u;
const uintptr_t kErasePagePartial = 0x4001e518u;
const uintptr_t kErasePagePartialConfig = 0x4001e51cu;

const uint32_t kReadOnly = 0;
const uint32_t kWriteEnabled = 1;
const uint32_t kEraseEnabled = 2;

// A register or a word of flash: both lie in one address space.
volatile uint32_t& At(uintptr_t address) { return *reinterpret_cast<volatile uint32_t*>(address); }

// All stores before have taken effect before anything that follows.
void Barrier() {
#if defined(__arm__)
  __asm volatile("dsb 0xf" ::: "memory");
#endif
}

void WaitUntilReady() {
  Barrier();
  while ((At(kReady) & 1) == 0) {
  }
}

// Switches the controller's mode for as long as it lives. Flash is read-only otherwise, so that a
// stray pointer cannot change it.
class Mode {
 public:
  explicit Mode(uint32_t mode) { Set(mode); }
  ~Mode() { Set(kReadOnly); }
  Mode(const Mode&) = delete;
  Mode& operator=(const Mode&) = delete;

 private:
  static void Set(uint32_t mode) {
    WaitUntilReady();
    At(kConfig) = mode;
    Barrier();
  }
};

}  // namespace

uint32_t Nrf52840Flash::page_bytes() const { return kPageBytes; }

bool Nrf52840Flash::IsOurs(uint32_t offset, uint32_t bytes) const {
  return first_ <= end_ && end_ <= kFlashBytes && offset >= first_ && offset <= end_ &&
         bytes <= end_ - offset && offset % 4 == 0;
}

bool Nrf52840Flash::Erase(uint32_t offset) {
  if (!IsOurs(offset, kPageBytes) || offset % kPageBytes != 0) return false;
  if (slice_milliseconds_ > 0) {
    EraseInSlices(offset);
    return true;
  }
  const Mode mode(kEraseEnabled);
  At(kErasePage) = offset;
  WaitUntilReady();
  return true;
}

// The page is erased once its slices add up to the time of a whole erase.
void Nrf52840Flash::EraseInSlices(uint32_t offset) const {
  const uint32_t slice = slice_milliseconds_ < kLongestSlice ? slice_milliseconds_ : kLongestSlice;
  At(kErasePagePartialConfig) = slice;
  for (uint32_t erased = 0; erased < kEraseMilliseconds; erased += slice) {
    {
      const Mode mode(kEraseEnabled);
      At(kErasePagePartial) = offset;
      WaitUntilReady();
    }
    if (between_) between_(context_);
  }
}

bool Nrf52840Flash::Write(uint32_t offset, const uint32_t* words, uint32_t count) {
  if (count > kPageBytes / 4 || !IsOurs(offset, 4 * count)) return false;
  const Mode mode(kWriteEnabled);
  for (uint32_t i = 0; i < count; ++i) {
    At(offset + 4 * i) = words[i];
    WaitUntilReady();
  }
  return true;
}

bool Nrf52840Flash::Read(uint32_t offset, uint32_t* words, uint32_t count) const {
  if (count > kPageBytes / 4 || !IsOurs(offset, 4 * count)) return false;
  for (uint32_t i = 0; i < count; ++i) words[i] = At(offset + 4 * i);
  return true;
}

}  // namespace medyate
