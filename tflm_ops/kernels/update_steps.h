#ifndef TFLM_OPS_KERNELS_UPDATE_STEPS_H_
#define TFLM_OPS_KERNELS_UPDATE_STEPS_H_

// What the optimizers' part of the update ops is made of. A Rule, a type that only its file knows,
// has
//
//   kClipValue     the optimizer's word for the largest magnitude of an element of the gradient.
//   Part           pointers into a run: weights, accumulator (null for none) and its own.
//   PartOf(run, size, begin)              the part of a run of `size` weights from `begin` on.
//   WholeOf(run, size)                    the whole run.
//   OptionsOf(rates, optimizer)           of its function in math/, all but the gradient_scale.
//   Step(options, gradient, n, part)      one step on n weights.

#include <string.h>

#include "tflm_ops/kernels/update.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/elementwise.h"
#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/math/sgd.h"

namespace medyate {

// Checks the constants of an optimizer.
inline bool RequireOptimizerWords(const OpCall& call, int n) {
  const int words[] = {n};
  if (!call.RequireShape(call.Input(kOptimizer), "optimizer", tflm::kFloat32, words)) return false;
  const float* optimizer = call.InputData<const float>(kOptimizer);
  if (!call.RequireThat(optimizer != nullptr, "the optimizer to be a constant")) return false;
  for (int i = 0; i < n; ++i) {
    if (!call.RequireThat(math::IsFinite(optimizer[i]) && optimizer[i] >= 0.0f,
                          "finite optimizer constants of at least 0")) {
      return false;
    }
  }
  return true;
}

// One step on n weights; overwrites the gradient if it is clipped.
template <typename Rule>
void Step(const OpCall& call, const typename Rule::Part& part, int n, float* gradient) {
  const float* optimizer = call.InputData<const float>(kOptimizer);
  const int32_t* state = call.InputData<const int32_t>(kUpdateSelection);
  auto options = Rule::OptionsOf(call.InputData<const float>(kRates), optimizer);
  memcpy(&options.gradient_scale, &state[kStateWordGradientScale], sizeof(float));
  const float limit = optimizer[Rule::kClipValue];
  if (limit > 0.0f) {
    for (int i = 0; i < n; ++i) gradient[i] *= options.gradient_scale;
    options.gradient_scale = 1.0f;
    math::ClipByValue(limit, n, gradient);
  }
  Rule::Step(options, gradient, n, part);
}

// Takes n gradients: adds them to the accumulators if there are any, and steps if it is time to.
template <typename Rule>
void Take(const OpCall& call, const typename Rule::Part& part, int n, float* gradient) {
  if (part.accumulator) {
    math::Accumulate(gradient, n, part.accumulator);
    gradient = part.accumulator;
  }
  if (!IsUpdating(call, kUpdateCommand)) return;
  Step<Rule>(call, part, n, gradient);
  if (part.accumulator) memset(part.accumulator, 0, sizeof(float) * n);
}

// Steps by what lies in the accumulators.
template <typename Rule>
void Apply(const OpCall& call, const Run& run, int n) {
  Step<Rule>(call, Rule::WholeOf(run, n), n, run.accumulator);
  memset(run.accumulator, 0, sizeof(float) * n);
}

inline Run BiasRun(const OpCall& call, const Slot& slot) {
  return RunAt(slot, call.InputData<float>(kUpdatePool) + slot.bias_offset, slot.outputs);
}

// What Sgd and Adam of update.h do.

template <typename Rule>
void TakeGradientsBy(const OpCall& call, const Slot& slot, const Drawn& drawn, int begin, int n,
                     float* gradient) {
  const int each = slot.channel_weights;
  Take<Rule>(call, Rule::PartOf(drawn.run, drawn.count * each, begin * each), n * each, gradient);
}

template <typename Rule>
void ApplyAccumulatedBy(const OpCall& call, const Slot& slot, const Drawn& drawn) {
  Apply<Rule>(call, drawn.run, drawn.count * slot.channel_weights);
  if (slot.bias_offset != kNoBiasRun) Apply<Rule>(call, BiasRun(call, slot), slot.outputs);
}

template <typename Rule>
void UpdateBiasBy(const OpCall& call, const Slot& slot, int pixels) {
  if (slot.bias_offset == kNoBiasRun) return;
  float* gradient = call.OutputData<float>(0);
  memset(gradient, 0, slot.outputs * sizeof(float));
  math::BiasGradient(call.InputData<const float>(kUpdateGradient), pixels, slot.outputs, gradient);
  Take<Rule>(call, Rule::WholeOf(BiasRun(call, slot), slot.outputs), slot.outputs, gradient);
}

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_UPDATE_STEPS_H_
