#!/bin/sh
# Compiles the weight store and the boards' flash for a Cortex-M4F as the Arduino IDE does, links
# them with nothing but the C library's string functions, and looks for what must not be in there.
# That the nRF52840's flash controller is driven rightly only a board can show.
set -eu
. tests/tflm_ops/support/arm_compiler.sh
cat > "$scratch/main.cc" << 'END'
#include "tflm_ops/device/nrf52840_flash.h"
#include "tflm_ops/store/sparse_delta.h"
#include "tflm_ops/store/wear.h"
#include "tflm_ops/store/weight_store.h"

uint32_t page[1024];
uint32_t delta[256];
float pool[256];

int main() {
  medyate::Nrf52840Flash flash(0x80000, 0x100000, 10);
  const medyate::StoreConfig config = {{1, 2}, 0x80000, 19, 0xe0000, 24, 10000, false, 0, nullptr, 0};
  medyate::WeightStore store(&flash, config, page);
  if (store.Open(medyate::ForeignState::kRefuse) != medyate::StoreStatus::kOk) return 1;
  const int32_t selection[] = {1, 0, 3};
  const medyate::TrainedLayer layer = {0, 16, 64, 4, 16, 400};
  const medyate::SelectionRuns drawn(&layer, 1, selection);
  if (store.Commit({&drawn, pool, 256, nullptr, 0, nullptr}) != medyate::StoreStatus::kOk) {
    return 2;
  }
  const uint32_t words = medyate::EncodeDelta(medyate::DeltaKind::kValues, config.model_hash, pool,
                                              pool + 128, 128, delta, 256);
  if (medyate::ApplyDelta(delta, words, config.model_hash, medyate::DeltaOwner::kSameModel, 128,
                          pool) != medyate::DeltaStatus::kOk) {
    return 3;
  }
  return medyate::CommitsLeft(medyate::kNrf52840Traits, store.EraseCounts(), 19, 24, 19, 1) > 0;
}
END
sources="$scratch/main.cc tflm_ops/math/scalar.cc tflm_ops/device/nrf52840_flash.cc"
sources="$sources $(echo tflm_ops/store/*.cc)"
# shellcheck disable=SC2086
arm-none-eabi-g++ -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -std=gnu++14 -Os \
  -Wall -Wextra -Werror -Wframe-larger-than=400 -fno-exceptions -fno-rtti \
  -fno-threadsafe-statics -ffunction-sections -I. $sources --specs=nosys.specs -nostartfiles \
  -Wl,--gc-sections -Wl,-e,main -Wl,--no-warn-rwx-segments -o "$scratch/store.elf"
arm-none-eabi-size "$scratch/store.elf"
arm-none-eabi-nm -C "$scratch/store.elf" > "$scratch/symbols"
grep -q 'medyate::WeightStore::Commit' "$scratch/symbols"
if grep -E 'malloc|_sbrk|operator (new|delete)|iostream|__cxa|abort|_Unwind|printf|__aeabi_d(add|mul)' \
  "$scratch/symbols"; then
  echo "FAILED: heap, exceptions, streams or double precision in the weight store"
  exit 1
fi
