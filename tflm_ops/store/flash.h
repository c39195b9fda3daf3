#ifndef TFLM_OPS_STORE_FLASH_H_
#define TFLM_OPS_STORE_FLASH_H_

// What the weight store asks of a flash memory. One implementation for each kind of board
// (tflm_ops/device), one for tests that fails on demand (tests/tflm_ops/store/fake_flash.h).
//
// Offsets are in bytes. Flash is written in words of 4 bytes; a write turns ones into zeros, an
// erase turns all bits of a page into ones.

#include <stdint.h>

namespace medyate {

constexpr uint32_t kErasedWord = 0xffffffffu;

// The base class refuses everything: no pure virtual functions, which would pull the C++ library's
// abort machinery into a bare-metal image.
class Flash {
 public:
  // Bytes of a page: what one erase erases. A multiple of 4.
  virtual uint32_t page_bytes() const { return 0; }

  // Erases one page. Returns once it is complete; false if the flash says that it failed.
  //
  // Args:
  //   offset: of the page's first byte.
  virtual bool Erase(uint32_t offset) {
    (void)offset;
    return false;
  }

  // Writes whole words in rising order. False if the flash says that it failed. The caller
  // reads the words back.
  //
  // Args:
  //   offset: a multiple of 4; the words may not cross the end of a page.
  //   words: [count].
  virtual bool Write(uint32_t offset, const uint32_t* words, uint32_t count) {
    (void)offset;
    (void)words;
    (void)count;
    return false;
  }

  // Reads whole words from the memory itself, never from a cache.
  virtual bool Read(uint32_t offset, uint32_t* words, uint32_t count) const {
    (void)offset;
    (void)words;
    (void)count;
    return false;
  }

 protected:
  ~Flash() = default;
};

}  // namespace medyate

#endif  // TFLM_OPS_STORE_FLASH_H_
