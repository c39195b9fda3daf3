#!/bin/sh
# tflm_ops/math on an emulated Cortex-M4F, at the Arduino IDE's -Os: same bits as the host, and no
# more instructions per multiply-accumulate than cortex_m/layers.cc allows.
set -eu
for tool in arm-none-eabi-g++ qemu-system-arm; do
  if ! command -v "$tool" > /dev/null; then
    echo "SKIPPED: no $tool here. Install gcc-arm-none-eabi, libstdc++-arm-none-eabi-newlib" \
      "and qemu-system-arm."
    exit 0
  fi
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
arm-none-eabi-g++ -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -std=gnu++14 -Os \
  -Wall -Wextra -Werror -fno-exceptions -fno-rtti -fno-threadsafe-statics -ffunction-sections -I. \
  tests/tflm_ops/math/cortex_m/*.cc tflm_ops/math/*.cc -T tests/tflm_ops/math/cortex_m/link.ld \
  --specs=rdimon.specs -nostartfiles -Wl,--gc-sections -Wl,--defsym=whole_board=1 \
  -o "$scratch/layers.elf"
arm-none-eabi-size "$scratch/layers.elf"
timeout 120 qemu-system-arm -M mps2-an386 -cpu cortex-m4 -nographic -icount shift=0 \
  -semihosting-config enable=on,target=native -kernel "$scratch/layers.elf" < /dev/null
