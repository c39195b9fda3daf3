#ifndef TFLM_OPS_DEVICE_NANO33BLE_H_
#define TFLM_OPS_DEVICE_NANO33BLE_H_

// Where things lie in the flash of an Arduino Nano 33 BLE (nRF52840): the bootloader, the sketch
// with the weights inside it, and at the very end, out of the sketch's way, the journal. The
// emulated board has the same layout.

#include <stdint.h>

#include "tflm_ops/store/wear.h"
#include "tflm_ops/trainer/flash_sink.h"

namespace medyate {

constexpr uint32_t kNanoFlashBytes = 1024 * 1024;
constexpr uint32_t kNanoSketchOffset = 0x10000;
constexpr uint32_t kNanoPageBytes = 4096;

// Pages of the journal: what a commit of the whole region takes. More would not make the flash
// last longer, for each such commit erases all weight pages, too. Or what the runs of the largest
// draw take, where that is too much.
constexpr uint32_t NanoJournalPages(uint32_t weights_floats, uint32_t importance_floats,
                                    uint32_t run_pages) {
  return JournalPages(weights_floats, importance_floats, run_pages);
}
static_assert(kNanoPageBytes == 4096, "JournalPages counts pages of 4 KiB");

// 0 if there is no flash that could hold it: then the sketch reaches into it, whatever its size.
constexpr uint32_t NanoJournalOffset(uint32_t pages) {
  return pages < kNanoFlashBytes / kNanoPageBytes ? kNanoFlashBytes - pages * kNanoPageBytes : 0;
}
static_assert(NanoJournalOffset(254) == 2 * kNanoPageBytes, "254 of 256 pages");
static_assert(NanoJournalOffset(256) == 0, "all pages");
static_assert(NanoJournalOffset(402) == 0, "more than there are");

inline uint32_t NanoJournalPages(const StaticModel& model) {
  return NanoJournalPages(model.weights_floats, ImportanceFloats(model), model.run_pages);
}

// Args:
//   flash: of which offsets are addresses, as on a board where flash is mapped at 0.
inline FlashPlace NanoPlace(const StaticModel& model, Flash* flash) {
  return {flash,
          static_cast<uint32_t>(reinterpret_cast<uintptr_t>(model.weights)),
          NanoJournalOffset(NanoJournalPages(model)),
          NanoJournalPages(model),
          nullptr,
          kNrf52840Traits.cycles,
          model.run_pages};
}

}  // namespace medyate

#endif  // TFLM_OPS_DEVICE_NANO33BLE_H_
