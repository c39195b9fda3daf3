#!/bin/sh
# Compiles the trainer with everything it needs for a Cortex-M4F as the Arduino IDE does, links it
# with nothing but the C library's string functions, and looks for what must not be in there: a heap,
# double precision, fused multiply-adds (see fp_exact.h).
set -eu
. tests/tflm_ops/support/arm_compiler.sh
cat > "$scratch/main.cc" << 'END'
#include "tests/tflm_ops/trainer/static_model/medyate_model.h"
#include "tflm_ops/device/nano33ble.h"
#include "tflm_ops/device/nrf52840_flash.h"
#include "tflm_ops/trainer/trainer.h"

using medyate_model::kModel;

alignas(16) uint8_t arena[medyate_model::kArenaBytes];
uint32_t held[128];
float sample[32], scores[3], loss;
char name[medyate::kClassNameBytes];
medyate::Nrf52840Flash flash(0x10000, medyate::kNanoFlashBytes, 10);
medyate::Trainer trainer(kModel, arena, sizeof(arena), medyate::NanoPlace(kModel, &flash));

extern "C" const unsigned kTrainerBytes;
const unsigned kTrainerBytes = sizeof(trainer);

int main() {
  int bad = trainer.Begin() != medyate::TrainerStatus::kOk;
  bad += trainer.SetGuard({held, 128, 4, 0.1f}) != medyate::TrainerStatus::kOk;
  bad += trainer.Step(sample, 1, &loss) != medyate::TrainerStatus::kOk;
  bad += trainer.EndEpoch() != medyate::TrainerStatus::kOk;
  bad += trainer.Predict(sample, scores) != medyate::TrainerStatus::kOk;
  bad += trainer.Commit() != medyate::TrainerStatus::kOk;
  bad += trainer.Discard() != medyate::TrainerStatus::kOk;
  bad += trainer.Enrol("new", nullptr) != medyate::TrainerStatus::kOk;
  bad += trainer.Reset() != medyate::TrainerStatus::kOk;
  bad += trainer.ClassName(0, name, sizeof(name)) ? 0 : 1;
  return bad + (trainer.sink().CommitsLeft() > 0 ? 0 : 1);
}
END
sources="$scratch/main.cc tests/tflm_ops/trainer/static_model/medyate_model.cc
  tests/tflm_ops/trainer/static_model/medyate_weights.cc tflm_ops/device/nrf52840_flash.cc"
cpu="-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"

# VMLA and VNMUL, VMLS round twice and are not fused; VFMA, VFMS, VFNMA, VFNMS are.
is_fused() { arm-none-eabi-objdump -d "$1" | grep -qiE '\<vfn?m[as]'; }
echo 'float f(float a, float b, float c) { return a * b + c; }' > "$scratch/control.cc"
arm-none-eabi-g++ $cpu -std=gnu++14 -Os -c "$scratch/control.cc" -o "$scratch/control.o"
is_fused "$scratch/control.o"

mkdir "$scratch/objects"
number=0
for source in $sources tflm_ops/math/*.cc tflm_ops/draw/*.cc tflm_ops/store/*.cc tflm_ops/kernels/*.cc \
  tflm_ops/trainer/*.cc; do
  number=$((number + 1))
  arm-none-eabi-g++ $cpu -std=gnu++14 -Os \
    -Wall -Wextra -Werror -Wframe-larger-than=512 -fno-exceptions -fno-rtti \
    -fno-threadsafe-statics -ffunction-sections -fdata-sections -I. -c "$source" \
    -o "$scratch/objects/$number.o"
  if is_fused "$scratch/objects/$number.o"; then
    echo "FAILED: fused multiply-adds in $source"
    exit 1
  fi
done
arm-none-eabi-g++ $cpu \
  "$scratch"/objects/*.o --specs=nosys.specs -nostartfiles -Wl,--gc-sections -Wl,-e,main \
  -Wl,--no-warn-rwx-segments -o "$scratch/trainer.elf"
arm-none-eabi-size "$scratch/trainer.elf"
arm-none-eabi-nm -CS "$scratch/trainer.elf" > "$scratch/symbols"
echo "bytes of the Trainer, in hexadecimal, its page of 4 KiB included:"
awk '$4 == "trainer" { print $2; found = 1 } END { exit !found }' "$scratch/symbols"
grep -q 'medyate::Trainer::EndEpoch' "$scratch/symbols"
if grep -E 'malloc|_sbrk|operator (new|delete)|iostream|__cxa|abort|_Unwind|printf|__aeabi_d(add|mul)' \
  "$scratch/symbols"; then
  echo "FAILED: heap, exceptions, streams or double precision in the trainer"
  exit 1
fi
