#ifndef BENCHMARKS_CORTEX_M_REGION_H_
#define BENCHMARKS_CORTEX_M_REGION_H_

// Measured regions of a program on the emulated Cortex-M4F. benchmarks/cortex_m/trace.py finds the
// two functions in the emulator's trace and counts what is executed between them; SysTick, which
// ticks once every 40 instructions under qemu's -icount shift=0, checks its count.

#include <stdint.h>

extern "C" {
__attribute__((noinline)) void BeginRegion() { __asm__ volatile(""); }
__attribute__((noinline)) void EndRegion() { __asm__ volatile(""); }
}

namespace medyate {

const uint32_t kInstructionsPerTick = 40;

inline volatile uint32_t* SysTick() { return reinterpret_cast<volatile uint32_t*>(0xE000E010); }

inline void StartSysTick() {
  SysTick()[1] = 0xFFFFFF;  // Reload value: 24 bits, counting down.
  SysTick()[2] = 0;
  SysTick()[0] = 5;
  for (volatile int wait = 0; wait < 100; wait = wait + 1) {
  }
}

// Runs f as a region; returns the instructions that SysTick counted, at most 671 million.
template <typename Function>
uint32_t Region(Function f) {
  BeginRegion();
  const uint32_t start = SysTick()[2];
  f();
  const uint32_t end = SysTick()[2];
  EndRegion();
  return kInstructionsPerTick * ((start - end) & 0xFFFFFF);
}

}  // namespace medyate

#endif  // BENCHMARKS_CORTEX_M_REGION_H_
