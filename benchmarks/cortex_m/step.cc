// Whole training steps of a generated model as regions, on samples out of a generator of random
// numbers. Nothing is committed: on a device the weights lie in flash. Prints instructions of each
// step by SysTick, the arena's bytes, the stack's high-water mark and the words of the selection.

#include <stdint.h>
#include <stdio.h>

#include "benchmarks/cortex_m/region.h"
#include "medyate_model.h"
#include "tflm_ops/trainer/step_trainer.h"

extern "C" uint32_t _stack_top;

namespace {

const int kSteps = 2;
const uint32_t kPaint = 0xa5a5a5a5u;
const uint32_t kPaintedBytes = 16 * 1024;

alignas(medyate::kArenaAlignment) uint8_t arena[medyate_model::kArenaBytes];
medyate::StepTrainer trainer;

// Fills the stack below this function's frame.
__attribute__((noinline)) void PaintStack() {
  const uintptr_t end = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) - 64;
  uintptr_t at = reinterpret_cast<uintptr_t>(&_stack_top) - kPaintedBytes;
  for (; at < end; at += 4) *reinterpret_cast<volatile uint32_t*>(at) = kPaint;
}

uint32_t StackBytes() {
  const uintptr_t top = reinterpret_cast<uintptr_t>(&_stack_top);
  uintptr_t at = top - kPaintedBytes;
  while (*reinterpret_cast<volatile uint32_t*>(at) == kPaint) at += 4;
  return static_cast<uint32_t>(top - at);
}

// Numbers in -1 .. 1 from a linear congruential generator.
void DrawSample(uint32_t* state, float* sample, int elements) {
  for (int i = 0; i < elements; ++i) {
    *state = *state * 1664525u + 1013904223u;
    sample[i] = static_cast<float>(static_cast<int32_t>(*state) >> 8) / 8388608.0f;
  }
}

int Failed(const char* what, medyate::TrainerStatus status) {
  printf("%s: %s\n", what, medyate::TrainerStatusName(status));
  return 1;
}

}  // namespace

int main() {
  using medyate::TrainerStatus;
  using medyate_model::kModel;
  PaintStack();
  TrainerStatus status = trainer.Init(kModel, arena, sizeof(arena), nullptr);
  if (status != TrainerStatus::kOk) return Failed("Init", status);
  uint32_t state = 1;
  uint32_t instructions[kSteps];
  medyate::StartSysTick();
  for (int step = 0; step < kSteps; ++step) {
    float* const sample = trainer.sample();
    DrawSample(&state, sample, trainer.runner().Elements(kModel.sample));
    float loss;
    instructions[step] =
        medyate::Region([&] { status = trainer.Step(sample, step % kModel.classes, &loss); });
    if (status != TrainerStatus::kOk) return Failed("Step", status);
  }
  const uint32_t stack = StackBytes();  // Before printf, which a device need not have.
  for (uint32_t count : instructions) printf("step %lu\n", static_cast<unsigned long>(count));
  printf("arena %lu\nstack %lu\n", static_cast<unsigned long>(sizeof(arena)),
         static_cast<unsigned long>(stack));
  const int32_t* const selection =
      static_cast<const int32_t*>(trainer.runner().Data(kModel.selection));
  for (int i = 0; i < trainer.runner().Elements(kModel.selection); ++i) {
    printf("selection%d %ld\n", i, static_cast<long>(selection[i]));
  }
  return 0;
}
