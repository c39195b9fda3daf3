#ifndef TFLM_OPS_ARDUINO_NANO_FLASH_H_
#define TFLM_OPS_ARDUINO_NANO_FLASH_H_

// The Nano 33 BLE's flash under Arduino's mbed core. Two parts of it may be changed and nothing
// else: the weights inside the sketch, and the journal at the end of the flash, which the sketch
// must not reach into.
//
// The core's linker script puts .rodata into .text: the weights' alignment to a flash page becomes
// that of .text, which begins at 0x10000 as it is, so the vector table stays where it was. The
// core does not use the memory protection unit (DEVICE_MPU is not set), so the controller may be
// used directly. Libraries that keep data at the end of the flash (KVStore, a flash drive over USB)
// must not be used beside this one.
//
// Compiled in the tests, but never yet run on a board.

#include <stdint.h>

#include "tflm_ops/device/nano33ble.h"
#include "tflm_ops/device/nrf52840_flash.h"

extern "C" {
// Symbols of the core's linker script, under names that cannot clash with a declaration elsewhere:
// the initial values of variables lie after the code.
extern const char medyate_code_end[] __asm__("__etext");
extern const char medyate_data_begin[] __asm__("__data_start__");
extern const char medyate_data_end[] __asm__("__data_end__");
}

namespace medyate {

// The first byte of flash after the sketch.
inline uint32_t NanoSketchEnd() {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(medyate_code_end) +
                               reinterpret_cast<uintptr_t>(medyate_data_end) -
                               reinterpret_cast<uintptr_t>(medyate_data_begin));
}

class NanoFlash final : public Flash {
 public:
  explicit NanoFlash(const StaticModel& model)
      : model_(model),
        weights_(Begin(model), Begin(model) + 4 * model.weights_floats, kSliceMilliseconds),
        journal_(NanoJournalOffset(NanoJournalPages(model)), kNanoFlashBytes, kSliceMilliseconds) {}
  NanoFlash(const NanoFlash&) = delete;
  NanoFlash& operator=(const NanoFlash&) = delete;

  FlashPlace place() { return NanoPlace(model_, this); }

  // Why nothing can be kept; null if all is well.
  const char* problem() const {
    const uint32_t begin = Begin(model_);
    if (begin % kNanoPageBytes != 0) return "the weights do not begin at a flash page";
    if (begin < kNanoSketchOffset || begin >= NanoSketchEnd()) {
      return "the weights are not in flash";
    }
    if (NanoSketchEnd() > NanoJournalOffset(NanoJournalPages(model_))) {
      return "the sketch reaches into the journal: make it or the model smaller";
    }
    return nullptr;
  }

  // 0, which the weight store refuses, if there is a problem.
  uint32_t page_bytes() const override { return problem() ? 0 : kNanoPageBytes; }
  bool Erase(uint32_t offset) override {
    return !problem() && (journal_.Erase(offset) || weights_.Erase(offset));
  }
  bool Write(uint32_t offset, const uint32_t* words, uint32_t count) override {
    return !problem() &&
           (journal_.Write(offset, words, count) || weights_.Write(offset, words, count));
  }
  bool Read(uint32_t offset, uint32_t* words, uint32_t count) const override {
    return journal_.Read(offset, words, count) || weights_.Read(offset, words, count);
  }

 private:
  // The CPU halts while flash is erased: interrupts wait no longer than a slice of it.
  static constexpr uint32_t kSliceMilliseconds = 10;

  static uint32_t Begin(const StaticModel& model) {
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(model.weights));
  }

  const StaticModel& model_;
  Nrf52840Flash weights_;
  Nrf52840Flash journal_;
};

}  // namespace medyate

#endif  // TFLM_OPS_ARDUINO_NANO_FLASH_H_
