#ifndef TFLM_OPS_DRAW_SCHEDULE_H_
#define TFLM_OPS_DRAW_SCHEDULE_H_

// The learning rate over time, without libm: what keras.optimizers.schedules.CosineDecay computes.

#include <stdint.h>

namespace medyate {

// Cosine decay after a linear warm-up. With warmup_steps 0 the rate begins at `peak`; with
// decay_steps 0 it stays there.
struct CosineSchedule {
  float start;            // Rate of step 0 of the warm-up.
  float peak;             // Rate at its end.
  float floor_share;      // Share of the peak that is left in the end, 0 .. 1 (Keras: alpha).
  uint32_t warmup_steps;  // Steps from start to peak.
  uint32_t decay_steps;   // Steps from peak to the floor, after the warm-up.
};

// A rate that never changes.
inline CosineSchedule ConstantRate(float rate) { return {rate, rate, 1.0f, 0, 0}; }

// The learning rate of a step, counted from 0. Within 2e-7 of the peak of the exact value.
float LearningRate(const CosineSchedule& schedule, uint32_t step);

// cos(pi * x) for x in 0 .. 1, within 2e-7.
float CosinePi(float x);

}  // namespace medyate

#endif  // TFLM_OPS_DRAW_SCHEDULE_H_
