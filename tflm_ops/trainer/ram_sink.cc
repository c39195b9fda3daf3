#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/trainer/step_trainer.h"

namespace medyate {
namespace {

bool Within(uint32_t offset, uint32_t length, uint32_t room) {
  return offset <= room && length <= room - offset;
}

}  // namespace

RamSink::RamSink(const StaticModel& model, float* weights, uint32_t floats)
    : weights_(floats == model.weights_floats ? weights : nullptr), floats_(floats) {
  if (weights_) memcpy(weights_, model.weights, sizeof(float) * floats);
}

CommitResult RamSink::Commit(const CommitRequest& request) {
  if (!weights_) return CommitResult::kFailed;
  const uint32_t count = request.runs->count();
  for (uint32_t i = 0; i < count; ++i) {
    const WeightRun run = request.runs->run(i);
    if (!Within(run.pool_offset, run.length, request.pool_floats) ||
        !Within(run.weight_offset, run.length, floats_)) {
      return CommitResult::kFailed;
    }
    for (uint32_t j = 0; j < run.length; ++j) {
      if (!math::IsFinite(request.pool[run.pool_offset + j])) return CommitResult::kNotFinite;
    }
  }
  for (uint32_t i = 0; i < count; ++i) {
    const WeightRun run = request.runs->run(i);
    memcpy(weights_ + run.weight_offset, request.pool + run.pool_offset,
           sizeof(float) * run.length);
  }
  return CommitResult::kOk;
}

}  // namespace medyate
