#ifndef TFLM_OPS_DRAW_IMPORTANCE_H_
#define TFLM_OPS_DRAW_IMPORTANCE_H_

// What the steps tell the next draw, step 9 of sampler.h: bit for bit as in Python.

#include <stdint.h>

#include "tflm_ops/math/fast.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {

// How far the importances move towards the norms of a step.
//
// Args:
//   steps: since the draw, this one included; kNoSteps for a running mean.
MEDYATE_ALWAYS_INLINE float RefreshRate(int32_t steps) {
  return steps > 0 ? 1.0f / static_cast<float>(steps) : kImportanceRate;
}

// Takes a channel's norm in a step into its importance, kUnseen or at least 0.
MEDYATE_ALWAYS_INLINE void Refresh(float norm, int32_t steps, float rate, float* importance) {
  if (steps == 1 || *importance < 0.0f) {  // The first since the draw, or the first ever.
    *importance = norm;
  } else {
    *importance += rate * (norm - *importance);
  }
}

}  // namespace medyate

#endif  // TFLM_OPS_DRAW_IMPORTANCE_H_
