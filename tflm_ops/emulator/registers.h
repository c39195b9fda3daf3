#ifndef TFLM_OPS_EMULATOR_REGISTERS_H_
#define TFLM_OPS_EMULATOR_REGISTERS_H_

#include <stdint.h>

namespace medyate {

// A register by its address.
inline volatile uint32_t& Register(uintptr_t address) {
  return *reinterpret_cast<volatile uint32_t*>(address);
}

}  // namespace medyate

#endif  // TFLM_OPS_EMULATOR_REGISTERS_H_
