#include "tflm_ops/kernels/update.h"

#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/elementwise.h"
#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/math/sgd.h"

namespace medyate {
namespace {

// `n` weights of a run, from the element `begin` on.
Run Part(const Run& run, int begin) {
  return {run.delta + begin, run.accumulator ? run.accumulator + begin : nullptr,
          run.velocity ? run.velocity + begin : nullptr};
}

// One step on n weights; overwrites the gradient if it is clipped.
//
// Args:
//   base: [n], the base weights.
void Step(const OpCall& call, const Run& run, const float* base, int n, float* gradient) {
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
  math::SgdStep(options, gradient, n, base, run.velocity, run.delta);
}

// Takes n gradients: adds them to the accumulators if there are any, and steps if it is time to.
void Take(const OpCall& call, const Run& run, const float* base, int n, float* gradient) {
  if (run.accumulator) {
    math::Accumulate(gradient, n, run.accumulator);
    gradient = run.accumulator;
  }
  if (!IsUpdating(call, kUpdateCommand)) return;
  Step(call, run, base, n, gradient);
  if (run.accumulator) memset(run.accumulator, 0, sizeof(float) * n);
}

// Steps by what lies in the accumulators.
void Apply(const OpCall& call, const Run& run, const float* base, int n) {
  Step(call, run, base, n, run.accumulator);
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

bool RequireUpdate(const OpCall& call, const Slot& slot, int output_elements, int importance_offset,
                   const int* weights, int rank) {
  if (!call.Require(call.inputs() == kUpdateInputs, "inputs", kUpdateInputs, call.inputs()) ||
      !call.Require(call.outputs() == 1, "outputs", 1, call.outputs())) {
    return false;
  }
  const int one[] = {1};
  const bool trains_bias = slot.bias_offset != kNoBiasDelta;
  const int biases[] = {slot.outputs};
  const int scratch =
      trains_bias && slot.outputs > slot.delta_elements ? slot.outputs : slot.delta_elements;
  if (!call.RequireElements(call.Input(kUpdateGradient), "output_gradient", tflm::kFloat32,
                            output_elements) ||
      !RequireState(call, slot, call.Input(kUpdatePool), call.Input(kUpdateSelection)) ||
      !call.RequireShape(call.Input(kLearningRate), "learning_rate", tflm::kFloat32, one) ||
      !RequireCommand(call, kUpdateCommand) || !RequireOptimizer(call, slot) ||
      !call.RequireShape(call.Input(kUpdateWeights), "weights", tflm::kFloat32, weights, rank) ||
      !call.RequireAtLeast(call.Output(0), "scratch", tflm::kFloat32, scratch)) {
    return false;
  }
  if (trains_bias && !call.RequireShape(call.Input(kUpdateBias), "bias", tflm::kFloat32, biases)) {
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
  const float rate = steps > 0 ? 1.0f / static_cast<float>(steps) : kImportanceRate;
  for (int i = 0; i < n; ++i) {
    const float squares =
        math::SumOfSquares(gradient + i * slot.delta_elements, slot.delta_elements);
    // A gradient that is too large for a norm must not end the draw for good.
    if (!math::IsFinite(squares)) continue;
    const float norm = math::Sqrt(squares);
    float* mean = importance + channels[i];
    if (steps == 1 || *mean < 0.0f) {  // The first since the draw, or the first ever.
      *mean = norm;
    } else {
      *mean += rate * (norm - *mean);
    }
  }
}

void TakeGradients(const OpCall& call, const Slot& slot, const Drawn& drawn, int begin, int n,
                   float* gradient) {
  if (call.InputData<const float>(kOptimizer)[kOptimizerWordWeightDecay] == 0.0f) {
    // Nobody looks at the base weights: all runs, which lie side by side, in one go.
    Take(call, Part(drawn.run, begin * slot.delta_elements), nullptr, n * slot.delta_elements,
         gradient);
    return;
  }
  const float* weights = call.InputData<const float>(kUpdateWeights);
  for (int i = 0; i < n; ++i) {
    Take(call, Part(drawn.run, (begin + i) * slot.delta_elements),
         weights + drawn.channels[begin + i] * slot.delta_elements, slot.delta_elements,
         gradient + i * slot.delta_elements);
  }
}

void ApplyAccumulated(const OpCall& call, const Slot& slot, const Drawn& drawn) {
  const float* weights = call.InputData<const float>(kUpdateWeights);
  for (int i = 0; i < drawn.count; ++i) {
    Apply(call, Part(drawn.run, i * slot.delta_elements),
          weights + drawn.channels[i] * slot.delta_elements, slot.delta_elements);
  }
  if (slot.bias_offset != kNoBiasDelta) {
    Apply(call, BiasRun(call, slot), call.InputData<const float>(kUpdateBias), slot.outputs);
  }
}

void UpdateBias(const OpCall& call, const Slot& slot, int pixels) {
  if (slot.bias_offset == kNoBiasDelta) return;
  float* gradient = call.OutputData<float>(0);
  memset(gradient, 0, slot.outputs * sizeof(float));
  math::BiasGradient(call.InputData<const float>(kUpdateGradient), pixels, slot.outputs, gradient);
  Take(call, BiasRun(call, slot), call.InputData<const float>(kUpdateBias), slot.outputs, gradient);
}

}  // namespace medyate
