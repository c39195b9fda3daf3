#ifndef TFLM_OPS_KERNELS_LAYER_H_
#define TFLM_OPS_KERNELS_LAYER_H_

// What the ops of a trainable layer share: its geometry, its slot in the selection variable, its
// run in the pool, its activation and its bias.

#include <stdint.h>

#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/op_options.h"
#include "tflm_ops/math/shape.h"

namespace medyate {

// How a layer lies in pool and selection.
struct Slot {
  int offset;          // First word in the selection.
  int capacity;        // Channels the slot has room for.
  int channels;        // Input channels of the layer.
  int delta_elements;  // Weights of a channel.
  int stash_elements;  // Input positions of a channel.
  int bias_offset;     // kNoBiasDelta, or where the bias's delta lies in the pool.
  int outputs;         // Elements of the bias.
};

// The drawn channels of a layer, as the selection says now.
struct Drawn {
  int count;
  const uint16_t* channels;
  float* delta;  // [count][delta_elements]
  float* stash;  // [count][stash_elements]
};

// Reads and checks the options' geometry: the shape, and the slot with room for a stash.
bool ReadConv2d(const OpCall& call, const Conv2dOptions& options, math::ConvShape* shape,
                Slot* slot);
bool ReadDepthwiseConv2d(const OpCall& call, const Conv2dOptions& options, math::ConvShape* shape,
                         Slot* slot);
bool ReadDense(const OpCall& call, const DenseOptions& options, Slot* slot);
bool ReadStash(const OpCall& call, const StashOptions& options, Slot* slot);

// Checks pool and selection against the slot, the bias's delta too.
bool RequireState(const OpCall& call, const Slot& slot, const tflm::EvalTensor* pool,
                  const tflm::EvalTensor* selection);

// Reads the slot, and checks at run time that it stays inside pool and layer.
bool ReadDrawn(const OpCall& call, const Slot& slot, const tflm::EvalTensor* pool,
               const tflm::EvalTensor* selection, Drawn* drawn);

// Tensors of the forward ops, in order. Gates and live bias are there only if options ask for them.
enum ForwardInput { kInput, kWeights, kBias, kForwardPool, kForwardSelection };
constexpr int kFrozenInputs = 3;
constexpr int kTrainableInputs = 5;

// Checks what conv2d and dense have in common: counts, bias, gates, live bias, pool, selection.
bool RequireForward(const OpCall& call, const Slot& slot, int activation, float negative_slope,
                    int output_elements);

// The bias a forward op uses: the constant, or the constant plus what training added to it. Null
// without a bias.
const float* LiveBias(const OpCall& call, const Slot& slot, int activation);

// Applies the fused activation in place and writes the gates.
void Activate(const OpCall& call, int activation, float negative_slope, int n);

// Checks that `activation` is one, and the slope.
bool RequireActivation(const OpCall& call, int activation, float negative_slope);

// Tensors of the input gradient ops, in order; the second are the weights here, too.
enum GradientInput { kOutputGradient, kGradientCommand = 2, kGradientPool, kGradientSelection };

// Checks of an input gradient op: all but the gradients and the weights.
bool RequireInputGradient(const OpCall& call, const Slot& slot);

// Tensors of the update ops, in order. The output gradient is the first here, too.
enum UpdateInput {
  kUpdatePool = 1,
  kUpdateSelection,
  kLearningRate,
  kUpdateCommand,
  kUpdateInputs
};

// Checks of an update op: all but the output gradient.
bool RequireUpdate(const OpCall& call, const Slot& slot);

// Reads and checks the learning rate.
bool ReadLearningRate(const OpCall& call, float* rate);

// One step of plain SGD: weights -= rate * gradient.
void Step(float rate, const float* gradient, int n, float* weights);

// One step on the bias's delta, if it is trained. Overwrites the scratch.
void UpdateBias(const OpCall& call, const Slot& slot, int pixels, float rate);

// A command tensor, and whether it says STEP.
bool RequireCommand(const OpCall& call, int input);
bool IsStep(const OpCall& call, int input);

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_LAYER_H_
