#include "tflm_ops/kernels/update.h"

#include "tflm_ops/draw/importance.h"
#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/math/sgd.h"

namespace medyate {

bool RequireUpdate(const OpCall& call, const Slot& slot, int output_elements,
                   int importance_offset) {
  if (!call.Require(call.inputs() == kUpdateInputs, "inputs", kUpdateInputs, call.inputs()) ||
      !call.Require(call.outputs() == 1, "outputs", 1, call.outputs())) {
    return false;
  }
  const bool trains_bias = slot.bias_offset != kNoBiasRun;
  const int scratch =
      trains_bias && slot.outputs > slot.channel_weights ? slot.outputs : slot.channel_weights;
  if (!call.RequireElements(call.Input(kUpdateGradient), "output_gradient", tflm::kFloat32,
                            output_elements) ||
      !RequireState(call, slot, call.Input(kUpdatePool), call.Input(kUpdateSelection)) ||
      !RequireCommand(call, kUpdateCommand) ||
      !call.RequireAtLeast(call.Output(0), "scratch", tflm::kFloat32, scratch)) {
    return false;
  }
  if (importance_offset == kNoImportance) return true;
  return call.RequireAtLeast(call.Input(kImportance), "importance", tflm::kFloat32, 1) &&
         call.RequireRange("importance_offset", importance_offset, 0,
                           int64_t{Elements(*call.Input(kImportance))} - slot.channels);
}

void RefreshImportance(const OpCall& call, const Slot& slot, int importance_offset,
                       const uint16_t* channels, int n, const float* gradient) {
  if (importance_offset == kNoImportance) return;
  float* importance = call.InputData<float>(kImportance) + importance_offset;
  const int32_t steps = call.InputData<const int32_t>(kUpdateSelection)[kStateWordSteps];
  const float rate = RefreshRate(steps);
  for (int i = 0; i < n; ++i) {
    const float squares =
        math::SumOfSquares(gradient + i * slot.channel_weights, slot.channel_weights);
    // A gradient that is too large for a norm must not end the draw for good.
    if (!math::IsFinite(squares)) continue;
    Refresh(math::Sqrt(squares), steps, rate, importance + channels[i]);
  }
}

}  // namespace medyate
