#ifndef TFLM_OPS_DEVICE_NRF52840_FLASH_H_
#define TFLM_OPS_DEVICE_NRF52840_FLASH_H_

// The nRF52840's own flash (Arduino Nano 33 BLE) through its controller, NVMC, as its product
// specification describes it: pages of 4 KiB, 85 ms an erase, 41 us a word, 10,000 cycles, at most
// two writes to a word between erases. The CPU halts while it executes from flash and the
// controller is busy.
//
// Compiled in the tests, but never yet run on a board. No SoftDevice must be active: it owns the
// controller.

#include <stdint.h>

#include "tflm_ops/store/flash.h"

namespace medyate {

class Nrf52840Flash final : public Flash {
 public:
  // Called between the slices of an erase: feed the watchdog, serve the radio. It must not use
  // flash.
  typedef void (*Between)(void* context);

  // Args:
  //   first, end: the bytes that may be changed, multiples of 4096; everything else is refused.
  //   slice_milliseconds: 0 to erase a page in one go, which halts the CPU for 85 ms; else 1 to 85.
  //   between: null, or called with `context` after each slice.
  Nrf52840Flash(uint32_t first, uint32_t end, uint32_t slice_milliseconds = 0,
                Between between = nullptr, void* context = nullptr)
      : first_(first),
        end_(end),
        slice_milliseconds_(slice_milliseconds),
        between_(between),
        context_(context) {}

  uint32_t page_bytes() const override;
  bool Erase(uint32_t offset) override;
  bool Write(uint32_t offset, const uint32_t* words, uint32_t count) override;
  bool Read(uint32_t offset, uint32_t* words, uint32_t count) const override;

 private:
  bool IsOurs(uint32_t offset, uint32_t bytes) const;
  void EraseInSlices(uint32_t offset) const;

  uint32_t first_;
  uint32_t end_;
  uint32_t slice_milliseconds_;
  Between between_;
  void* context_;
};

}  // namespace medyate

#endif  // TFLM_OPS_DEVICE_NRF52840_FLASH_H_
