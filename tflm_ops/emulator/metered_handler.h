#ifndef TFLM_OPS_EMULATOR_METERED_HANDLER_H_
#define TFLM_OPS_EMULATOR_METERED_HANDLER_H_

#include <stdint.h>

#include "tflm_ops/device/signed_handler.h"
#include "tflm_ops/emulator/clock.h"
// Of an export with a key.
#if __has_include("medyate_key.h")
#include "medyate_key.h"
#define MEDYATE_HAS_KEY 1
#else
#define MEDYATE_HAS_KEY 0
#endif

namespace medyate {

#if MEDYATE_HAS_KEY
class KeyedHandler : public SignedHandler {
 public:
  explicit KeyedHandler(Trainer* trainer) : SignedHandler(trainer, medyate_key::kKey) {}
};
#else
typedef TrainerHandler KeyedHandler;
#endif

// Counts what training steps and predictions take, and writes it into the emulator's log whenever
// the host asks for the status:
//
//   measured step=4711000 steps=3 steps_thousands=14133 predict=... stack=1500 static=90000
//
// Instructions of the last step, steps so far and their thousands of instructions, instructions of
// the last prediction, bytes of stack that were ever used, bytes of variables.
class MeteredHandler final : public KeyedHandler {
 public:
  // Args:
  //   counts: whether the clock goes by instructions; else they are given as 0.
  MeteredHandler(Trainer* trainer, const Clock* clock, bool counts)
      : KeyedHandler(trainer), clock_(clock), counts_(counts) {}

  void Report(StatusAnswer* status) override;
  DeviceStatus Step(const void* sample, uint32_t label, float* loss) override;
  DeviceStatus StepTarget(const void* sample, const float* target, float* loss) override;
  DeviceStatus Predict(const void* sample, float* scores) override;

 private:
  uint32_t InstructionsSince(uint32_t ticks) const;
  DeviceStatus Count(DeviceStatus status, uint32_t ticks);

  const Clock* clock_;
  bool counts_;
  uint32_t steps_ = 0;
  uint32_t step_instructions_ = 0;
  uint64_t all_step_instructions_ = 0;
  uint32_t predict_instructions_ = 0;
};

}  // namespace medyate

#endif  // TFLM_OPS_EMULATOR_METERED_HANDLER_H_
