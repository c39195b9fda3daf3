#ifndef TFLM_OPS_EMULATOR_FILE_FLASH_H_
#define TFLM_OPS_EMULATOR_FILE_FLASH_H_

// The emulated board's flash: memory from address 0 on, and a file on the host that holds the same,
// byte for byte. The emulator loads the file when it starts. A kill at any
// instant leaves in the file what flash would hold after a power cut:
//
//   an erase      goes over the page twice, in slices: some bits become one, then all
//   a write       goes word by word, and in each word some bits become zero, then all that shall
//
// each in the file before the next. A write never turns a zero into a one.

#include <stdint.h>

#include "tflm_ops/store/flash.h"

namespace medyate {

class FileFlash final : public Flash {
 public:
  // Args:
  //   file: as semihosting::Open returned it.
  //   first, end: the bytes that may be changed, multiples of a page; all else is refused.
  FileFlash(int file, uint32_t first, uint32_t end) : file_(file), first_(first), end_(end) {}

  uint32_t page_bytes() const override;
  bool Erase(uint32_t offset) override;
  bool Write(uint32_t offset, const uint32_t* words, uint32_t count) override;
  bool Read(uint32_t offset, uint32_t* words, uint32_t count) const override;

 private:
  bool IsOurs(uint32_t offset, uint32_t bytes) const;
  bool Put(uint32_t offset, uint32_t word);
  bool Save(uint32_t offset, uint32_t bytes);
  uint32_t Random();

  int file_;
  uint32_t first_;
  uint32_t end_;
  uint32_t random_ = 1;
};

}  // namespace medyate

#endif  // TFLM_OPS_EMULATOR_FILE_FLASH_H_
