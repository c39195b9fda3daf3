#ifndef TFLM_OPS_EMULATOR_CLOCK_H_
#define TFLM_OPS_EMULATOR_CLOCK_H_

#include <stdint.h>

namespace medyate {

// Time, by the board's first CMSDK timer: 32 bits, counting down at 25 MHz. Under qemu's -icount
// shift=0 it ticks once every 40 instructions, the same on every run. SysTick wakes the processor
// up ten times a second.
class Clock {
 public:
  static constexpr uint32_t kInstructionsPerTick = 40;

  Clock();

  // Wraps around.
  uint32_t Ticks() const;

  // To be called at least every two minutes.
  uint32_t Milliseconds();

 private:
  uint32_t last_ticks_ = 0;
  uint32_t rest_ticks_ = 0;  // Of a millisecond.
  uint32_t milliseconds_ = 0;
};

}  // namespace medyate

#endif  // TFLM_OPS_EMULATOR_CLOCK_H_
