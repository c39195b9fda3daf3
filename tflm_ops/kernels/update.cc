#include "tflm_ops/kernels/update.h"

#include "tflm_ops/draw/importance.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/elementwise.h"
#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/math/sgd.h"

namespace medyate {
namespace {

// `n` weights of a run, from the element `begin` on.
Run Part(const Run& run, int begin) {
  return {run.weights + begin, run.accumulator ? run.accumulator + begin : nullptr,
          run.velocity ? run.velocity + begin : nullptr};
}

// One step on n weights; overwrites the gradient if it is clipped.
void Step(const OpCall& call, const Run& run, int n, float* gradient) {
  const float* optimizer = call.InputData<const float>(kOptimizer);
  const int32_t* state = call.InputData<const int32_t>(kUpdateSelection);
  math::SgdOptions options = {
      *call.InputData<const float>(kLearningRate), optimizer[kOptimizerWordMomentum],
      optimizer[kOptimizerWordWeightDecay], optimizer[kOptimizerWordNesterov] != 0.0f, 1.0f};
  memcpy(&options.gradient_scale, &state[kStateWordGradientScale], sizeof(float));
  const float limit = optimizer[kOptimizerWordClipValue];
  if (limit > 0.0f) {
    for (int i = 0; i < n; ++i) gradient[i] *= options.gradient_scale;
    options.gradient_scale = 1.0f;
    math::ClipByValue(limit, n, gradient);
  }
  math::SgdStep(options, gradient, n, run.velocity, run.weights);
}

// Takes n gradients: adds them to the accumulators if there are any, and steps if it is time to.
void Take(const OpCall& call, const Run& run, int n, float* gradient) {
  if (run.accumulator) {
    math::Accumulate(gradient, n, run.accumulator);
    gradient = run.accumulator;
  }
  if (!IsUpdating(call, kUpdateCommand)) return;
  Step(call, run, n, gradient);
  if (run.accumulator) memset(run.accumulator, 0, sizeof(float) * n);
}

// Steps by what lies in the accumulators.
void Apply(const OpCall& call, const Run& run, int n) {
  Step(call, run, n, run.accumulator);
  memset(run.accumulator, 0, sizeof(float) * n);
}

Run BiasRun(const OpCall& call, const Slot& slot) {
  return RunAt(slot, call.InputData<float>(kUpdatePool) + slot.bias_offset, slot.outputs);
}

bool RequireOptimizer(const OpCall& call, const Slot& slot) {
  const int words[] = {kOptimizerWords};
  if (!call.RequireShape(call.Input(kOptimizer), "optimizer", tflm::kFloat32, words)) return false;
  const float* optimizer = call.InputData<const float>(kOptimizer);
  if (!call.RequireThat(optimizer != nullptr, "the optimizer to be a constant")) return false;
  for (int i = 0; i < kOptimizerWords; ++i) {
    if (!call.RequireThat(math::IsFinite(optimizer[i]) && optimizer[i] >= 0.0f,
                          "finite optimizer constants of at least 0")) {
      return false;
    }
  }
  return call.RequireThat(slot.has_velocity || optimizer[kOptimizerWordMomentum] == 0.0f,
                          "velocities for a momentum");
}

}  // namespace

bool RequireUpdate(const OpCall& call, const Slot& slot, int output_elements,
                   int importance_offset) {
  if (!call.Require(call.inputs() == kUpdateInputs, "inputs", kUpdateInputs, call.inputs()) ||
      !call.Require(call.outputs() == 1, "outputs", 1, call.outputs())) {
    return false;
  }
  const int one[] = {1};
  const bool trains_bias = slot.bias_offset != kNoBiasRun;
  const int scratch =
      trains_bias && slot.outputs > slot.channel_weights ? slot.outputs : slot.channel_weights;
  if (!call.RequireElements(call.Input(kUpdateGradient), "output_gradient", tflm::kFloat32,
                            output_elements) ||
      !RequireState(call, slot, call.Input(kUpdatePool), call.Input(kUpdateSelection)) ||
      !call.RequireShape(call.Input(kLearningRate), "learning_rate", tflm::kFloat32, one) ||
      !RequireCommand(call, kUpdateCommand) || !RequireOptimizer(call, slot) ||
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

void TakeGradients(const OpCall& call, const Slot& slot, const Drawn& drawn, int begin, int n,
                   float* gradient) {
  Take(call, Part(drawn.run, begin * slot.channel_weights), n * slot.channel_weights, gradient);
}

void ApplyAccumulated(const OpCall& call, const Slot& slot, const Drawn& drawn) {
  Apply(call, drawn.run, drawn.count * slot.channel_weights);
  if (slot.bias_offset != kNoBiasRun) Apply(call, BiasRun(call, slot), slot.outputs);
}

void UpdateBias(const OpCall& call, const Slot& slot, int pixels) {
  if (slot.bias_offset == kNoBiasRun) return;
  float* gradient = call.OutputData<float>(0);
  memset(gradient, 0, slot.outputs * sizeof(float));
  math::BiasGradient(call.InputData<const float>(kUpdateGradient), pixels, slot.outputs, gradient);
  Take(call, BiasRun(call, slot), slot.outputs, gradient);
}

}  // namespace medyate
