#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/trainer/step_trainer.h"

namespace medyate {
namespace {

float After(RunMode mode, float weight, float value) {
  return mode == RunMode::kAdd ? weight + value : value;
}

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
      const float value = request.pool[run.pool_offset + j];
      if (!math::IsFinite(After(request.mode, weights_[run.weight_offset + j], value))) {
        return CommitResult::kNotFinite;
      }
    }
  }
  for (uint32_t i = 0; i < count; ++i) {
    const WeightRun run = request.runs->run(i);
    for (uint32_t j = 0; j < run.length; ++j) {
      float* weight = &weights_[run.weight_offset + j];
      *weight = After(request.mode, *weight, request.pool[run.pool_offset + j]);
    }
  }
  return CommitResult::kOk;
}

}  // namespace medyate
