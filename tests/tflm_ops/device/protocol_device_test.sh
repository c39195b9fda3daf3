#!/bin/sh
# Compiles the device's end of the serial protocol for a Cortex-M4F as the Arduino IDE does, links it
# with nothing but the C library's string functions, and looks for what must not be in there.
set -eu
. tests/tflm_ops/support/arm_compiler.sh
cat > "$scratch/main.cc" << 'END'
#include "tflm_ops/device/session.h"

using medyate::DeviceStatus;

// Where a UART's registers would be.
volatile uint32_t uart;
volatile uint32_t ticks;

class Uart final : public medyate::ByteSink {
 public:
  void Write(const uint8_t* data, size_t bytes) override {
    for (size_t i = 0; i < bytes; ++i) uart = data[i];
  }
};

class Nothing final : public medyate::Handler {
 public:
  void Describe(medyate::HelloAnswer* info, const char** name) override {
    info->sample_rank = info->sample_dims[0] = 1;
    *name = "nothing";
  }
  void Report(medyate::StatusAnswer* status) override { status->samples = 1; }
  void* Sample() override { return &sample_; }
  DeviceStatus Step(const void* sample, uint32_t, float* loss) override {
    *loss = *static_cast<const float*>(sample);
    return DeviceStatus::kOk;
  }
  DeviceStatus Predict(const void* sample, float* scores) override {
    *scores = *static_cast<const float*>(sample);
    return DeviceStatus::kOk;
  }
  DeviceStatus EndEpoch() override { return DeviceStatus::kOk; }
  DeviceStatus Commit() override { return DeviceStatus::kOk; }
  DeviceStatus Discard() override { return DeviceStatus::kOk; }

 private:
  float sample_ = 0;
};

uint32_t request[256], answer[256];

int main() {
  Uart sink;
  Nothing handler;
  medyate::Session session(&handler, &sink, request, 256, answer, 256);
  for (;;) {
    const uint8_t byte = static_cast<uint8_t>(uart);
    session.Receive(&byte, 1, ticks);
    if (ticks == 1) return medyate::DeviceStatusName(DeviceStatus::kOk)[0] + sizeof(session);
  }
}
END
arm-none-eabi-g++ -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -std=gnu++14 -Os \
  -Wall -Wextra -Werror -Wframe-larger-than=400 -fno-exceptions -fno-rtti \
  -fno-threadsafe-statics -ffunction-sections -I. "$scratch/main.cc" tflm_ops/device/framing.cc \
  tflm_ops/device/session.cc tflm_ops/store/crc32.cc --specs=nosys.specs -nostartfiles \
  -Wl,--gc-sections -Wl,-e,main -Wl,--no-warn-rwx-segments -o "$scratch/protocol.elf"
# The trainer's handler; trainer_device_test links what is behind it.
for name in class_names sha256 signed_handler trainer_handler trainer_handler_status; do
  arm-none-eabi-g++ -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -std=gnu++14 -Os \
    -Wall -Wextra -Werror -Wframe-larger-than=500 -fno-exceptions -fno-rtti \
    -fno-threadsafe-statics -ffunction-sections -I. -c "tflm_ops/device/$name.cc" \
    -o "$scratch/$name.o"
  arm-none-eabi-size "$scratch/$name.o"
  arm-none-eabi-nm -C "$scratch/$name.o" > "$scratch/handler_symbols"
  if grep -E 'malloc|operator (new|delete)\[|__cxa|printf|__aeabi_d(add|mul)' \
    "$scratch/handler_symbols"; then
    echo "FAILED: heap, exceptions, streams or double precision in $name.cc"
    exit 1
  fi
done
arm-none-eabi-size "$scratch/protocol.elf"
arm-none-eabi-nm -C "$scratch/protocol.elf" > "$scratch/symbols"
grep -q 'medyate::Session::Receive' "$scratch/symbols"
if grep -E 'malloc|_sbrk|operator (new|delete)|iostream|__cxa|abort|_Unwind|printf|__aeabi_d(add|mul)' \
  "$scratch/symbols"; then
  echo "FAILED: heap, exceptions, streams or double precision in the serial protocol"
  exit 1
fi
