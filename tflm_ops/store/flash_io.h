#ifndef TFLM_OPS_STORE_FLASH_IO_H_
#define TFLM_OPS_STORE_FLASH_IO_H_

// Reading and writing flash with a small buffer on the stack. Nothing here is believed before it
// has been read back.

#include <stdint.h>

#include "tflm_ops/store/flash.h"

namespace medyate {

// Writes words and reads them back. False if the flash refuses or they read otherwise.
bool WriteVerified(Flash* flash, uint32_t offset, const uint32_t* words, uint32_t count);

// Erases a page and checks that it reads as erased.
bool ErasePage(Flash* flash, uint32_t offset);

// Erases a page, checks that it reads as erased, and writes its first words, verified.
//
// Args:
//   words: [count], at most a page.
bool ReplacePage(Flash* flash, uint32_t offset, const uint32_t* words, uint32_t count);

// CRC-32 of flash contents, accumulated as Crc32 does. False if the flash cannot be read.
//
// Args:
//   bytes: a multiple of 4.
bool FlashCrc(const Flash& flash, uint32_t offset, uint32_t bytes, uint32_t* crc);

}  // namespace medyate

#endif  // TFLM_OPS_STORE_FLASH_IO_H_
