#include "tflm_ops/emulator/clock.h"

#include "tflm_ops/emulator/registers.h"

namespace medyate {
namespace {

const uint32_t kTicksPerMillisecond = 25000;

// CMSDK timer 0.
const uintptr_t kControl = 0x40000000u;
const uintptr_t kValue = 0x40000004u;
const uintptr_t kReload = 0x40000008u;

const uintptr_t kSysTickControl = 0xe000e010u;
const uintptr_t kSysTickReload = 0xe000e014u;
const uintptr_t kSysTickValue = 0xe000e018u;
const uint32_t kOnWithInterrupt = 7;

}  // namespace

Clock::Clock() {
  Register(kReload) = 0xffffffffu;
  Register(kValue) = 0xffffffffu;
  Register(kControl) = 1;
  Register(kSysTickReload) = 100 * kTicksPerMillisecond - 1;
  Register(kSysTickValue) = 0;
  Register(kSysTickControl) = kOnWithInterrupt;
}

uint32_t Clock::Ticks() const { return ~Register(kValue); }

uint32_t Clock::Milliseconds() {
  const uint32_t now = Ticks();
  const uint32_t passed = now - last_ticks_;
  last_ticks_ = now;
  rest_ticks_ += passed % kTicksPerMillisecond;
  milliseconds_ += passed / kTicksPerMillisecond + rest_ticks_ / kTicksPerMillisecond;
  rest_ticks_ %= kTicksPerMillisecond;
  return milliseconds_;
}

}  // namespace medyate
