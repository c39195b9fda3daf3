#ifndef TFLM_OPS_KERNELS_UPDATE_H_
#define TFLM_OPS_KERNELS_UPDATE_H_

// What the update ops share: all but how the gradient of a few channels is computed, and what an
// optimizer makes of it.

#include <string.h>

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"

namespace medyate {

// Tensors of the update ops, in order.
enum UpdateInput {
  kUpdateGradient,
  kUpdatePool,
  kUpdateSelection,
  kRates,  // SGD: the learning rate. Adam: see AdamRate.
  kUpdateCommand,
  kImportance,
  kOptimizer,
  kUpdateInputs
};

// The output of MEDYATE_ADAM_RATE.
enum AdamRate { kStepSizeRate, kDecayRate, kAdamRates };

// Checks of an update op, all but the optimizer's.
//
// Args:
//   importance_offset: as in the options.
bool RequireUpdate(const OpCall& call, const Slot& slot, int output_elements,
                   int importance_offset);

// Refreshes the importance of `n` channels from their gradients [n][channel_weights].
void RefreshImportance(const OpCall& call, const Slot& slot, int importance_offset,
                       const uint16_t* channels, int n, const float* gradient);

// An optimizer; only what a model's ops name is linked.
struct Sgd {
  // Checks rates, constants, and what the pool keeps for it.
  static bool Require(const OpCall& call, const Slot& slot);

  // Takes the gradients of the channels [begin, begin + n): accumulates them, steps, or both, as
  // the command says. Overwrites `gradient` [n][channel_weights].
  static void TakeGradients(const OpCall& call, const Slot& slot, const Drawn& drawn, int begin,
                            int n, float* gradient);

  // Applies what lies in the accumulators of all drawn channels and of the bias.
  static void ApplyAccumulated(const OpCall& call, const Slot& slot, const Drawn& drawn);

  // The bias's gradient and step, if it is trained. Overwrites the scratch.
  static void UpdateBias(const OpCall& call, const Slot& slot, int pixels);
};

// As Sgd.
struct Adam {
  static bool Require(const OpCall& call, const Slot& slot);
  static void TakeGradients(const OpCall& call, const Slot& slot, const Drawn& drawn, int begin,
                            int n, float* gradient);
  static void ApplyAccumulated(const OpCall& call, const Slot& slot, const Drawn& drawn);
  static void UpdateBias(const OpCall& call, const Slot& slot, int pixels);
};

// Reads the drawn channels and runs an update op.
//
// Args:
//   pixels: output positions.
//   gradient_of: (stash, channels, n, dw) adds the weight gradient of n channels to dw, which
//     is zero.
template <typename Optimizer, typename GradientOf>
tflm::Status RunUpdate(const OpCall& call, const Slot& slot, int importance_offset, int pixels,
                       const GradientOf& gradient_of) {
  const bool samples = IsTraining(call, kUpdateCommand);
  if (!samples && !(slot.accumulates && IsUpdating(call, kUpdateCommand))) return tflm::kOk;
  Drawn drawn;
  MEDYATE_CHECK(
      ReadDrawn(call, slot, call.Input(kUpdatePool), call.Input(kUpdateSelection), &drawn));
  if (!samples) {
    Optimizer::ApplyAccumulated(call, slot, drawn);
    return tflm::kOk;
  }
  float* gradient = call.OutputData<float>(0);
  const int room = Elements(*call.Output(0)) / slot.channel_weights;
  for (int begin = 0; begin < drawn.count; begin += room) {
    const int n = drawn.count - begin < room ? drawn.count - begin : room;
    memset(gradient, 0, sizeof(float) * n * slot.channel_weights);
    gradient_of(drawn.stash + begin * slot.stash_elements, drawn.channels + begin, n, gradient);
    RefreshImportance(call, slot, importance_offset, drawn.channels + begin, n, gradient);
    Optimizer::TakeGradients(call, slot, drawn, begin, n, gradient);
  }
  Optimizer::UpdateBias(call, slot, pixels);
  return tflm::kOk;
}

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_UPDATE_H_
