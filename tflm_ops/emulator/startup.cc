// From reset to main on the emulated Cortex-M4F: FPU on, memory set up, stack painted. FPSCR.FZ
// stays 0, as it is after a reset: denormals count, as on every other machine.

#include <stdint.h>

#include "tflm_ops/emulator/registers.h"
#include "tflm_ops/emulator/semihosting.h"
#include "tflm_ops/emulator/stack.h"
#include "tflm_ops/emulator/uart.h"

extern "C" {

extern uint32_t _data_begin, _data_end, _data_load, _bss_begin, _bss_end, _stack_top;
void* __dso_handle;

int main();

__attribute__((noreturn)) void Reset() {
  using medyate::Register;
  Register(0xe000ed88) |= 0xfu << 20;  // CP10 and CP11: the FPU.
  __asm__ volatile("dsb\nisb");
  const uint32_t* from = &_data_load;
  for (uint32_t* to = &_data_begin; to < &_data_end;) *to++ = *from++;
  for (uint32_t* to = &_bss_begin; to < &_bss_end;) *to++ = 0;
  medyate::PaintStack();
  main();
  medyate::semihosting::Exit(false);  // Firmware never ends.
}

void Fault() {
  medyate::semihosting::Log("fault: an access or instruction that the processor refused");
  medyate::semihosting::Exit(false);
}

// Only wakes the processor up.
void Tick() {}

void UartReceived() { medyate::Uart::HandleInterrupt(); }

typedef void (*Handler)();

struct Vectors {
  void* stack_top;
  Handler exceptions[15];  // Reset, NMI, hard fault ... SysTick.
  Handler interrupts[1];   // UART0, a byte was received.
};

__attribute__((section(".vectors"), used)) const Vectors kVectors = {
    &_stack_top,
    {Reset, Fault, Fault, Fault, Fault, Fault, nullptr, nullptr, nullptr, nullptr, Fault, Fault,
     nullptr, Fault, Tick},
    {UartReceived},
};

}  // extern "C"
