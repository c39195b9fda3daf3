#ifndef TFLM_OPS_EMULATOR_STACK_H_
#define TFLM_OPS_EMULATOR_STACK_H_

#include <stdint.h>

namespace medyate {

// Fills the stack's memory, below the caller's frame, with a pattern.
void PaintStack();

// Bytes of it that were ever used since.
uint32_t StackBytes();

// Bytes of RAM that are taken for good: all variables, the arena among them.
uint32_t StaticBytes();

}  // namespace medyate

#endif  // TFLM_OPS_EMULATOR_STACK_H_
