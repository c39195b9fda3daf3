// What SGD does in the update ops.

#include "tflm_ops/kernels/update_steps.h"

namespace medyate {
namespace {

struct Rule {
  static constexpr int kClipValue = kOptimizerWordClipValue;

  typedef Run Part;
  static Part PartOf(const Run& run, int, int begin) {
    return {run.weights + begin, run.accumulator ? run.accumulator + begin : nullptr,
            run.slots ? run.slots + begin : nullptr};
  }

  static const Part& WholeOf(const Run& run, int) { return run; }

  static math::SgdOptions OptionsOf(const float* rates, const float* optimizer) {
    return {rates[0], optimizer[kOptimizerWordMomentum], optimizer[kOptimizerWordWeightDecay],
            optimizer[kOptimizerWordNesterov] != 0.0f, 1.0f};
  }

  static void Step(const math::SgdOptions& options, const float* gradient, int n,
                   const Part& part) {
    math::SgdStep(options, gradient, n, part.slots, part.weights);
  }
};

}  // namespace

bool Sgd::Require(const OpCall& call, const Slot& slot) {
  const int one[] = {1};
  if (!call.RequireShape(call.Input(kRates), "learning_rate", tflm::kFloat32, one) ||
      !RequireOptimizerWords(call, kOptimizerWords)) {
    return false;
  }
  const float momentum = call.InputData<const float>(kOptimizer)[kOptimizerWordMomentum];
  return call.RequireRange("optimizer_slots", slot.optimizer_slots, momentum > 0.0f ? 1 : 0, 1);
}

void Sgd::TakeGradients(const OpCall& call, const Slot& slot, const Drawn& drawn, int begin, int n,
                        float* gradient) {
  TakeGradientsBy<Rule>(call, slot, drawn, begin, n, gradient);
}

void Sgd::ApplyAccumulated(const OpCall& call, const Slot& slot, const Drawn& drawn) {
  ApplyAccumulatedBy<Rule>(call, slot, drawn);
}

void Sgd::UpdateBias(const OpCall& call, const Slot& slot, int pixels) {
  UpdateBiasBy<Rule>(call, slot, pixels);
}

}  // namespace medyate
