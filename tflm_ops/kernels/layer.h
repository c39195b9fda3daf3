#ifndef TFLM_OPS_KERNELS_LAYER_H_
#define TFLM_OPS_KERNELS_LAYER_H_

// What the ops of a trainable layer share: its geometry, its slot in the selection variable, its
// run in the pool, its activation and its bias.

#include <stdint.h>

#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/math/shape.h"
#include "tflm_ops/math/weights.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {

// How a layer lies in pool, selection and importance.
struct Slot {
  int offset;           // First word in the selection.
  int capacity;         // Channels the slot has room for.
  int channels;         // Input channels of the layer.
  int channel_weights;  // Weights of a channel.
  int stash_elements;   // Input positions of a channel.
  int bias_offset;      // kNoBiasRun, or where the trained bias lies in the pool.
  int outputs;          // Elements of the bias.
  bool accumulates;     // Accumulators lie after the weights.
  int optimizer_slots;  // Of each weight, 0 to 2; they lie after those.

  // Values in the pool for each trained weight.
  int copies() const { return 1 + (accumulates ? 1 : 0) + optimizer_slots; }
};

// A run of trained weights in the pool; null for what the layer does not have.
struct Run {
  float* weights;
  float* accumulator;
  float* slots;  // SGD's velocities; Adam's first moments. Its second ones lie after them.
};

// The drawn channels of a layer, as the selection says now.
struct Drawn {
  int count;
  const uint16_t* channels;
  Run run;       // Each [count][channel_weights].
  float* stash;  // [count][stash_elements].
};

// A fused activation.
struct Fused {
  int activation;
  float negative_slope;
  bool keeps_gates;
};

// Reads and checks the options' geometry: the shape, and the slot with room for a stash.
bool ReadConv2d(const OpCall& call, const Conv2dOptions& options, math::ConvShape* shape,
                Slot* slot);
bool ReadDepthwiseConv2d(const OpCall& call, const Conv2dOptions& options, math::ConvShape* shape,
                         Slot* slot);
// The shape is that of the convolution from output to input.
bool ReadConv2dTranspose(const OpCall& call, const Conv2dOptions& options, math::ConvShape* shape,
                         Slot* slot);
bool ReadDense(const OpCall& call, const DenseOptions& options, Slot* slot);
bool ReadStash(const OpCall& call, const StashOptions& options, Slot* slot);

// Checks pool and selection against the slot, the trained bias too.
bool RequireState(const OpCall& call, const Slot& slot, const tflm::EvalTensor* pool,
                  const tflm::EvalTensor* selection);

// `n` trained weights that begin at `weights`.
Run RunAt(const Slot& slot, float* weights, int n);

// Reads the slot, and checks at run time that it stays inside pool and layer.
bool ReadDrawn(const OpCall& call, const Slot& slot, const tflm::EvalTensor* pool,
               const tflm::EvalTensor* selection, Drawn* drawn);

// Tensors of the forward ops, in order, and of the input gradient ops. Gates are there only if
// options ask for them.
enum ForwardInput { kInput, kWeights, kBias, kPool, kSelection, kTrainableInputs };
enum GradientInput { kOutputGradient, kGradientCommand = 2 };
constexpr int kFrozenInputs = 3;

bool RequireFused(const OpCall& call, const Fused& fused, int keeps_gates);

// Reads and checks a fused activation.
template <typename Options>
bool ReadFused(const OpCall& call, const Options& options, Fused* fused) {
  *fused = {options.activation, options.negative_slope, options.keeps_gates != 0};
  return RequireFused(call, *fused, options.keeps_gates);
}

// Checks what conv2d and dense have in common: counts, bias, gates, pool, selection. A trainable
// op that reads int8 values has one more input and one more output.
bool RequireForward(const OpCall& call, const Slot& slot, const Fused& fused, int output_elements,
                    bool reads_int8 = false);

// Where the weights lie that a forward or input gradient op uses: in the pool those of drawn
// channels. Checks at run time what ReadDrawn does.
bool ReadWeights(const OpCall& call, const Slot& slot, math::Weights* weights);

// The bias that a forward op uses; null without one.
const float* BiasOf(const OpCall& call, const Slot& slot);

// Applies an activation to n elements in place; writes the gates unless they are null.
void ApplyActivation(const Fused& fused, int n, float* y, uint8_t* gates);

// Applies the fused activation in place, and writes the gates if they are kept.
void Activate(const OpCall& call, const Fused& fused, int n);

// Checks that `activation` is one, and the slope.
bool RequireActivation(const OpCall& call, int activation, float negative_slope);

// Checks of an input gradient op: all but the gradients and the weights.
bool RequireInputGradient(const OpCall& call, const Slot& slot);

// A command tensor; whether it asks for a sample's gradient (STEP, ACCUMULATE); and whether it
// asks for an update (STEP, APPLY), or for the loss of a sample (STEP, ACCUMULATE, EVALUATE).
bool RequireCommand(const OpCall& call, int input);
bool IsTraining(const OpCall& call, int input);
bool IsUpdating(const OpCall& call, int input);
bool ReadsLabel(const OpCall& call, int input);

// The selection variable of a loss op, which may be left out with all that follow it.
bool RequireOptionalSelection(const OpCall& call, int input);

// Counts a sample whose loss is good in the selection's state, and sets what its update multiplies
// gradients by. Without a selection it does nothing; of a damaged count it reports an error.
bool CountSample(const OpCall& call, int command_input, int selection_input);

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_LAYER_H_
