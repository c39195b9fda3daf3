// From reset to main on the emulated Cortex-M4F: FPU on, memory set up, files by semihosting.

#include <stdint.h>

extern "C" {

extern uint32_t _data_begin, _data_end, _data_load, _bss_begin, _bss_end, _stack_top;
void* __dso_handle;

void initialise_monitor_handles();
void _exit(int status);
int main();
void _init() {}
void _fini() {}

__attribute__((noreturn)) void Reset() {
  volatile uint32_t* const cpacr = reinterpret_cast<volatile uint32_t*>(0xE000ED88);
  *cpacr = *cpacr | (0xFu << 20);  // CP10 and CP11: the FPU.
  __asm__ volatile("dsb\nisb");
  const uint32_t* from = &_data_load;
  for (uint32_t* to = &_data_begin; to < &_data_end;) *to++ = *from++;
  for (uint32_t* to = &_bss_begin; to < &_bss_end;) *to++ = 0;
  initialise_monitor_handles();
  _exit(main());
  for (;;) {
  }
}

void Fault() { _exit(3); }

typedef void (*Handler)();

struct Vectors {
  void* stack_top;
  Handler handlers[6];  // Reset, NMI, hard fault, memory management, bus fault, usage fault.
};

__attribute__((section(".vectors"), used))
const Vectors kVectors = {&_stack_top, {Reset, Fault, Fault, Fault, Fault, Fault}};

}  // extern "C"
