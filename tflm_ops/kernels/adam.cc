// What Adam does in its update ops.

#include "tflm_ops/math/adam.h"

#include "tflm_ops/kernels/update_steps.h"

namespace medyate {
namespace {

struct Rule {
  static constexpr int kClipValue = kAdamWordClipValue;

  struct Part {
    float* weights;
    float* accumulator;
    float* first;  // Moments.
    float* second;
  };
  static Part PartOf(const Run& run, int size, int begin) {
    return {run.weights + begin, run.accumulator ? run.accumulator + begin : nullptr,
            run.slots + begin, run.slots + size + begin};
  }

  static Part WholeOf(const Run& run, int size) { return PartOf(run, size, 0); }

  static math::AdamOptions OptionsOf(const float* rates, const float* optimizer) {
    return {rates[kStepSizeRate],          rates[kDecayRate],
            optimizer[kAdamWordFirstRate], optimizer[kAdamWordSecondRate],
            optimizer[kAdamWordEpsilon],   1.0f};
  }

  static void Step(const math::AdamOptions& options, const float* gradient, int n,
                   const Part& part) {
    math::AdamStep(options, gradient, n, part.first, part.second, part.weights);
  }
};

}  // namespace

bool Adam::Require(const OpCall& call, const Slot& slot) {
  const int rates[] = {kAdamRates};
  return call.RequireShape(call.Input(kRates), "rates", tflm::kFloat32, rates) &&
         RequireOptimizerWords(call, kAdamWords) &&
         call.Require(slot.optimizer_slots == 2, "optimizer_slots", 2, slot.optimizer_slots);
}

void Adam::TakeGradients(const OpCall& call, const Slot& slot, const Drawn& drawn, int begin, int n,
                         float* gradient) {
  TakeGradientsBy<Rule>(call, slot, drawn, begin, n, gradient);
}

void Adam::ApplyAccumulated(const OpCall& call, const Slot& slot, const Drawn& drawn) {
  ApplyAccumulatedBy<Rule>(call, slot, drawn);
}

void Adam::UpdateBias(const OpCall& call, const Slot& slot, int pixels) {
  UpdateBiasBy<Rule>(call, slot, pixels);
}

}  // namespace medyate
