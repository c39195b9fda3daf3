#include "tflm_ops/kernels/layer.h"

#include <string.h>

#include "tflm_ops/draw/training_state.h"
#include "tflm_ops/math/activations.h"
#include "tflm_ops/math/bits.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace {

constexpr int64_t kMaxElements = 0x7fffffff;

// Small enough that no product of a few of them leaves 64 bits.
constexpr int kMaxSize = 65535;
constexpr int kMaxKernel = 255;

bool ReadAxis(const OpCall& call, const Conv2dOptions& options, int i, math::Axis* axis) {
  if (!call.RequireRange("input_size", options.input_size[i], 1, kMaxSize) ||
      !call.RequireRange("output_size", options.output_size[i], 1, kMaxSize) ||
      !call.RequireRange("kernel_size", options.kernel_size[i], 1, kMaxKernel) ||
      !call.RequireRange("stride", options.stride[i], 1, kMaxKernel) ||
      !call.RequireRange("dilation", options.dilation[i], 1, kMaxKernel)) {
    return false;
  }
  *axis = {options.input_size[i], options.output_size[i], options.kernel_size[i],
           options.stride[i],     options.dilation[i],    options.padding[i]};
  // The kernel is nowhere wholly in the padding before or wholly after the input.
  return call.RequireRange("padding", axis->pad, 0, (axis->kernel - 1) * axis->dilation) &&
         call.RequireRange("last position read", int64_t{axis->out - 1} * axis->stride - axis->pad,
                           -kMaxSize, axis->in - 1);
}

bool ReadSlot(const OpCall& call, int64_t channel_weights, int64_t stash_elements, Slot* slot) {
  slot->channel_weights = static_cast<int>(channel_weights);
  slot->stash_elements = static_cast<int>(stash_elements);
  return call.RequireRange("weights", channel_weights * slot->channels, 1, kMaxElements) &&
         call.RequireRange("elements of the input", stash_elements * slot->channels, 1,
                           kMaxElements) &&
         call.RequireRange("selection_offset", slot->offset, kStateWords, kMaxElements) &&
         call.RequireRange("selection_capacity", slot->capacity, 0, slot->channels) &&
         call.RequireRange("bias_offset", slot->bias_offset, kNoBiasRun, kMaxElements);
}

// Where the slot lies, and what the pool holds for each weight.
template <typename Options>
bool ReadCopies(const OpCall& call, const Options& options, Slot* slot) {
  slot->offset = options.selection_offset;
  slot->capacity = options.selection_capacity;
  slot->accumulates = options.accumulates != 0;
  slot->optimizer_slots = options.optimizer_slots;
  return call.RequireRange("accumulates", options.accumulates, 0, 1) &&
         call.RequireRange("optimizer_slots", options.optimizer_slots, 0, 2);
}

bool ReadShape(const OpCall& call, const Conv2dOptions& options, math::ConvShape* shape) {
  shape->in_channels = options.input_channels;
  shape->out_channels = options.output_channels;
  return ReadAxis(call, options, 0, &shape->h) && ReadAxis(call, options, 1, &shape->w) &&
         call.RequireRange("input_channels", options.input_channels, 1, kMaxChannels) &&
         call.RequireRange("output_channels", options.output_channels, 1, kMaxChannels);
}

// The slot of a convolution whose shape was read. `fan_out`: outputs that one weight position of
// an input channel feeds.
bool ReadConvolution(const OpCall& call, const Conv2dOptions& options, int fan_out, Slot* slot) {
  if (!ReadCopies(call, options, slot)) return false;
  slot->channels = options.input_channels;
  slot->outputs = options.output_channels;
  slot->bias_offset = options.bias_offset;
  const int64_t pixels = int64_t{options.output_size[0]} * options.output_size[1];
  return call.RequireRange("elements of the output", pixels * options.output_channels, 1,
                           kMaxElements) &&
         ReadSlot(call, int64_t{options.kernel_size[0]} * options.kernel_size[1] * fan_out,
                  int64_t{options.input_size[0]} * options.input_size[1], slot);
}

}  // namespace

bool ReadConv2d(const OpCall& call, const Conv2dOptions& options, math::ConvShape* shape,
                Slot* slot) {
  return ReadShape(call, options, shape) &&
         ReadConvolution(call, options, options.output_channels, slot);
}

bool ReadConv2dTranspose(const OpCall& call, const Conv2dOptions& options, math::ConvShape* shape,
                         Slot* slot) {
  Conv2dOptions transposed = options;
  transposed.input_channels = options.output_channels;
  transposed.output_channels = options.input_channels;
  for (int i = 0; i < 2; ++i) {
    transposed.input_size[i] = options.output_size[i];
    transposed.output_size[i] = options.input_size[i];
  }
  return ReadShape(call, transposed, shape) &&
         ReadConvolution(call, options, options.output_channels, slot);
}

bool ReadDepthwiseConv2d(const OpCall& call, const Conv2dOptions& options, math::ConvShape* shape,
                         Slot* slot) {
  if (!call.RequireRange("input_channels", options.input_channels, 1, kMaxChannels)) return false;
  const int multiplier = options.output_channels / options.input_channels;
  return call.Require(multiplier * int64_t{options.input_channels} == options.output_channels,
                      "outputs that exceed a multiple of the inputs", 0,
                      options.output_channels % options.input_channels) &&
         ReadShape(call, options, shape) && ReadConvolution(call, options, multiplier, slot);
}

bool ReadDense(const OpCall& call, const DenseOptions& options, Slot* slot) {
  if (!call.RequireRange("inputs", options.inputs, 1, kMaxChannels) ||
      !call.RequireRange("units", options.units, 1, kMaxChannels)) {
    return false;
  }
  if (!ReadCopies(call, options, slot)) return false;
  slot->channels = options.inputs;
  slot->outputs = options.units;
  slot->bias_offset = options.bias_offset;
  return ReadSlot(call, options.units, 1, slot);
}

bool ReadStash(const OpCall& call, const StashOptions& options, Slot* slot) {
  if (!call.RequireRange("pixels", options.pixels, 1, kMaxElements) ||
      !call.RequireRange("channels", options.channels, 1, kMaxChannels) ||
      !call.RequireRange("channel_weights", options.channel_weights, 1, kMaxElements)) {
    return false;
  }
  if (!ReadCopies(call, options, slot)) return false;
  slot->channels = options.channels;
  slot->outputs = 0;
  slot->bias_offset = kNoBiasRun;
  return ReadSlot(call, options.channel_weights, options.pixels, slot);
}

bool RequireState(const OpCall& call, const Slot& slot, const tflm::EvalTensor* pool,
                  const tflm::EvalTensor* selection) {
  const int64_t words = int64_t{slot.offset} + kSelectionHeaderWords + (slot.capacity + 1) / 2;
  if (!call.RequireAtLeast(pool, "pool", tflm::kFloat32, 1) ||
      !call.RequireAtLeast(selection, "selection", tflm::kInt32, 1) ||
      !call.RequireRange("end of the selection slot", words, 1, Elements(*selection))) {
    return false;
  }
  if (slot.bias_offset == kNoBiasRun) return true;
  const int64_t end = slot.bias_offset + int64_t{slot.outputs} * slot.copies();
  return call.RequireRange("end of the bias's run", end, 1, Elements(*pool));
}

Run RunAt(const Slot& slot, float* weights, int n) {
  float* const after = weights + n;
  return {weights, slot.accumulates ? after : nullptr,
          slot.optimizer_slots ? after + (slot.accumulates ? n : 0) : nullptr};
}

bool ReadDrawn(const OpCall& call, const Slot& slot, const tflm::EvalTensor* pool,
               const tflm::EvalTensor* selection, Drawn* drawn) {
  const int32_t* words = static_cast<const int32_t*>(selection->data) + slot.offset;
  const int count = words[0];
  const int offset = words[1];
  if (!call.RequireRange("drawn channels", count, 0, slot.capacity)) return false;
  const int64_t run = int64_t{slot.channel_weights} * slot.copies() + slot.stash_elements;
  const int last = Elements(*pool);
  if (!call.RequireRange("begin of the run", offset, 0, last) ||
      !call.RequireRange("end of the run", offset + run * count, 0, last)) {
    return false;
  }
  drawn->count = count;
  drawn->channels = reinterpret_cast<const uint16_t*>(words + kSelectionHeaderWords);
  drawn->run = RunAt(slot, static_cast<float*>(pool->data) + offset, slot.channel_weights * count);
  drawn->stash = drawn->run.weights + slot.channel_weights * count * slot.copies();
  int lowest = 0;
  for (int n = 0; n < count; ++n) {
    const int channel = drawn->channels[n];
    if (channel < lowest || channel >= slot.channels) {
      return call.RequireRange("drawn channel", channel, lowest, slot.channels - 1);
    }
    lowest = channel + 1;
  }
  return true;
}

bool RequireActivation(const OpCall& call, int activation, float negative_slope) {
  if (!call.RequireRange("activation", activation, kActivationNone, kActivationLeakyRelu)) {
    return false;
  }
  const bool good =
      activation == kActivationLeakyRelu ? math::IsFinite(negative_slope) : negative_slope == 0.0f;
  return call.RequireThat(good, "a finite negative_slope, 0 unless LeakyReLU");
}

bool RequireFused(const OpCall& call, const Fused& fused, int keeps_gates) {
  return RequireActivation(call, fused.activation, fused.negative_slope) &&
         call.RequireRange("keeps_gates", keeps_gates, 0,
                           fused.activation == kActivationNone ? 0 : 1);
}

bool RequireForward(const OpCall& call, const Slot& slot, const Fused& fused, int output_elements,
                    bool reads_int8) {
  const int more = reads_int8 ? 1 : 0;
  const bool trainable = call.inputs() == kTrainableInputs + more;
  const bool trains_bias = slot.bias_offset != kNoBiasRun;
  const int outputs = 1 + (fused.keeps_gates ? 1 : 0) + more;
  if (!call.Require(trainable || (!reads_int8 && call.inputs() == kFrozenInputs), "inputs",
                    kTrainableInputs + more, call.inputs()) ||
      !call.Require(call.outputs() == outputs, "outputs", outputs, call.outputs())) {
    return false;
  }
  const int biases[] = {slot.outputs};
  if ((trains_bias || call.Input(kBias)) &&
      !call.RequireShape(call.Input(kBias), "bias", tflm::kFloat32, biases)) {
    return false;
  }
  const int gates[] = {math::PackedBytes(output_elements, 1)};
  if (fused.keeps_gates && !call.RequireShape(call.Output(1), "gates", tflm::kUInt8, gates)) {
    return false;
  }
  if (!trainable) return call.RequireThat(!trains_bias, "a pool for a trained bias");
  return RequireState(call, slot, call.Input(kPool), call.Input(kSelection));
}

bool ReadWeights(const OpCall& call, const Slot& slot, math::Weights* weights) {
  *weights = math::Frozen(call.InputData<const float>(kWeights));
  if (call.inputs() < kTrainableInputs) return true;
  Drawn drawn;
  if (!ReadDrawn(call, slot, call.Input(kPool), call.Input(kSelection), &drawn)) return false;
  *weights = {weights->base, drawn.run.weights, drawn.channels, drawn.count};
  return true;
}

const float* BiasOf(const OpCall& call, const Slot& slot) {
  if (slot.bias_offset == kNoBiasRun) return call.InputData<const float>(kBias);
  return call.InputData<const float>(kPool) + slot.bias_offset;
}

void ApplyActivation(const Fused& fused, int n, float* y, uint8_t* gates) {
  if (fused.activation == kActivationRelu) math::ReluForward(y, n, y, gates);
  if (fused.activation == kActivationRelu6) math::Relu6Forward(y, n, y, gates);
  if (fused.activation == kActivationLeakyRelu) {
    math::LeakyReluForward(y, n, fused.negative_slope, y, gates);
  }
}

void Activate(const OpCall& call, const Fused& fused, int n) {
  uint8_t* gates = fused.keeps_gates ? call.OutputData<uint8_t>(1) : nullptr;
  ApplyActivation(fused, n, call.OutputData<float>(0), gates);
}

bool RequireInputGradient(const OpCall& call, const Slot& slot) {
  const bool trainable = call.inputs() == kTrainableInputs;
  return call.Require(trainable || call.inputs() == kFrozenInputs, "inputs", kTrainableInputs,
                      call.inputs()) &&
         call.Require(call.outputs() == 1, "outputs", 1, call.outputs()) &&
         RequireCommand(call, kGradientCommand) &&
         (!trainable || RequireState(call, slot, call.Input(kPool), call.Input(kSelection)));
}

bool RequireCommand(const OpCall& call, int input) {
  const int one[] = {1};
  return call.RequireShape(call.Input(input), "command", tflm::kInt32, one);
}

bool IsTraining(const OpCall& call, int input) {
  const int32_t command = *call.InputData<const int32_t>(input);
  return command == kCommandStep || command == kCommandAccumulate;
}

bool IsUpdating(const OpCall& call, int input) {
  const int32_t command = *call.InputData<const int32_t>(input);
  return command == kCommandStep || command == kCommandApply;
}

bool ReadsLabel(const OpCall& call, int input) {
  return IsTraining(call, input) || *call.InputData<const int32_t>(input) == kCommandEvaluate;
}

bool RequireOptionalSelection(const OpCall& call, int input) {
  return call.inputs() <= input ||
         call.RequireAtLeast(call.Input(input), "selection", tflm::kInt32, kStateWords);
}

bool CountSample(const OpCall& call, int command_input, int selection_input) {
  if (call.inputs() <= selection_input) return true;
  int32_t* state = call.InputData<int32_t>(selection_input);
  if (!call.RequireRange("accumulated samples", state[kStateWordAccumulated], 0, 0x7ffffffe)) {
    return false;
  }
  CountStep(state);
  if (!IsUpdating(call, command_input)) {
    ++state[kStateWordAccumulated];
    return true;
  }
  const float scale = 1.0f / static_cast<float>(state[kStateWordAccumulated] + 1);
  memcpy(&state[kStateWordGradientScale], &scale, sizeof(scale));
  state[kStateWordAccumulated] = 0;
  return true;
}

}  // namespace medyate
