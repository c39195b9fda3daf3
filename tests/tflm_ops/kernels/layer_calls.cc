// Ops of layers that can be trained: convolutions of three kinds, dense; and those with int8
// weights.

#include <algorithm>

#include "tests/tflm_ops/kernels/call_builder.h"
#include "tests/tflm_ops/kernels/convolution_axes.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {
namespace fake {
namespace {

// What pool and selection must hold for a layer.
struct SlotPlan {
  int offset;
  int capacity;
  int channels;
  int channel_weights;
  int stash_elements;
  int copies;
  int bias_offset;
  int outputs;
};

struct State {
  int pool;
  int selection;
};

// Now and then more than a pass over a layer takes at a time.
constexpr int kManyChannels = 150;
int DrawChannelCount(Random* random) {
  return random->Int(0, 15) > 0 ? random->Int(1, 6) : random->Int(60, kManyChannels);
}

// Draws channels and lays their run after the bias's.
State AddState(Builder* b, const SlotPlan& plan) {
  Random& random = b->random();
  const int channels = Clamp(plan.channels, 0, kManyChannels);
  const int capacity = Clamp(plan.capacity, 0, kManyChannels);
  const int drawn = random.Int(0, std::min(capacity, channels));
  const int64_t bias_end =
      plan.bias_offset < 0 ? 0 : int64_t{plan.bias_offset} + Product({plan.outputs, plan.copies});
  const int run = Clamp(bias_end + random.Int(0, 2), 0, kMostElements);
  const int64_t channel =
      int64_t{Product({plan.channel_weights, plan.copies})} + std::max(plan.stash_elements, 0);
  const int pool = Clamp(run + drawn * channel + random.Int(0, 2), 1, kMostElements);
  const int offset = Clamp(plan.offset, 0, 4096);
  std::vector<int32_t> words(offset + kSelectionHeaderWords + (capacity + 1) / 2 +
                             random.Int(0, 2));
  words[kStateWordInitialized] = 1;
  const float scale = 0.5f;
  if (offset >= kStateWords) memcpy(&words[kStateWordGradientScale], &scale, sizeof(scale));
  words[offset] = drawn;
  words[offset + 1] = run;
  const std::vector<uint16_t> drawn_channels = random.Channels(channels, drawn);
  if (drawn > 0) {
    memcpy(&words[offset + kSelectionHeaderWords], drawn_channels.data(), drawn * sizeof(uint16_t));
  }
  State state;
  state.pool = b->Floats({pool});
  state.selection = b->Ints(words);
  return state;
}

enum class Role {
  kForward,
  kInputGradient,
  kUpdate,
  kAdam,
  kInt8Input,
  kInt8Forward,
  kInt8InputGradient
};

struct LayerPlan {
  SlotPlan slot;
  int input_elements;
  int output_elements;
  std::vector<int> weights;
  bool keeps_gates;
  int importance_offset;
  int optimizer_slots;
  int weights_of_output;  // What a forward block of int8 weights must hold; see int8_weights.h.
  bool may_share;         // Output and input may be one tensor then.
  int rows;               // Elements of the input that one output row can need.
};

Call DrawForward(Builder* b, const LayerPlan& plan) {
  const bool trains_bias = plan.slot.bias_offset != kNoBiasRun;
  const bool trainable = trains_bias || b->random().Int(0, 1) == 1;
  const bool has_bias = trains_bias || b->random().Int(0, 1) == 1;
  std::vector<int> inputs = {b->Floats({plan.input_elements}), b->Constants(plan.weights),
                             has_bias ? b->Constants({plan.slot.outputs}) : tflm::kOptionalTensor};
  std::vector<int> outputs = {b->Floats({plan.output_elements})};
  if (plan.keeps_gates) outputs.push_back(b->Bytes((int64_t{plan.output_elements} + 7) / 8));
  if (trainable) {
    const State state = AddState(b, plan.slot);
    inputs.push_back(state.pool);
    inputs.push_back(state.selection);
  }
  return b->Finish(inputs, outputs);
}

// A trainable layer that reads int8 values.
Call DrawInt8Input(Builder* b, const LayerPlan& plan) {
  const bool has_bias = plan.slot.bias_offset != kNoBiasRun || b->random().Int(0, 1) == 1;
  std::vector<int> inputs = {b->Int8s({plan.input_elements}), b->Constants(plan.weights),
                             has_bias ? b->Constants({plan.slot.outputs}) : tflm::kOptionalTensor};
  const State state = AddState(b, plan.slot);
  inputs.push_back(state.pool);
  inputs.push_back(state.selection);
  inputs.push_back(b->ConstantFloats({0.1f, 3.0f}));
  std::vector<int> outputs = {b->Floats({plan.output_elements})};
  if (plan.keeps_gates) outputs.push_back(b->Bytes((int64_t{plan.output_elements} + 7) / 8));
  outputs.push_back(b->Floats({plan.rows}));
  return b->Finish(inputs, outputs);
}

Call DrawInputGradient(Builder* b, const LayerPlan& plan) {
  std::vector<int> inputs = {b->Floats({plan.output_elements}), b->Constants(plan.weights),
                             b->Command()};
  if (b->random().Int(0, 1) == 1) {
    const State state = AddState(b, plan.slot);
    inputs.push_back(state.pool);
    inputs.push_back(state.selection);
  }
  return b->Finish(inputs, {b->Floats({plan.input_elements})});
}

// The constants and the rates of an optimizer.
struct OptimizerTensors {
  int constants;
  int rates;
};

OptimizerTensors DrawOptimizer(Builder* b, Role role, const LayerPlan& plan) {
  Random& random = b->random();
  const float decay = random.Int(0, 1) * 0.25f, clip_value = random.Int(0, 1) * 0.5f;
  if (role == Role::kAdam) {
    return {b->ConstantFloats({0.1f, 0.01f, 1e-3f, decay, clip_value}), b->Floats({2})};
  }
  const float momentum = plan.optimizer_slots && random.Int(0, 1) ? 0.5f : 0.0f;
  return {b->ConstantFloats({momentum, random.Int(0, 1) * 1.0f, decay, clip_value}), b->Rate()};
}

Call DrawUpdate(Builder* b, Role role, const LayerPlan& plan) {
  Random& random = b->random();
  const State state = AddState(b, plan.slot);
  const int dy = b->Floats({plan.output_elements});
  int importance = tflm::kOptionalTensor;
  if (plan.importance_offset != kNoImportance) {
    importance = b->Floats({Clamp(int64_t{plan.importance_offset} + plan.slot.channels, 1, 4096)});
  }
  const bool trains_bias = plan.slot.bias_offset != kNoBiasRun;
  const int least = std::max(plan.slot.channel_weights, trains_bias ? plan.slot.outputs : 1);
  const int room = Clamp(int64_t{least} + random.Int(0, 20), 1, kMostElements);
  const OptimizerTensors optimizer = DrawOptimizer(b, role, plan);
  const int command = b->Command();
  return b->Finish(
      {dy, state.pool, state.selection, optimizer.rates, command, importance, optimizer.constants},
      {b->Floats({room})});
}

// The same layers with int8 weights, of which some channels at a time become floats.
Call DrawInt8Weights(Builder* b, bool is_forward, const LayerPlan& plan) {
  const int least = is_forward ? plan.weights_of_output : plan.slot.channel_weights;
  const bool shares = plan.may_share && b->random().Int(0, 1);
  const int each = least + (shares ? plan.slot.stash_elements : 0);
  const int block = Clamp(int64_t{each} * b->random().Int(1, 6), 1, kMostElements);
  const int from = b->Floats({is_forward ? plan.input_elements : plan.output_elements});
  const int weights = b->ConstantInt8s(plan.weights);
  int third = tflm::kOptionalTensor;
  if (!is_forward) {
    third = b->Command();
  } else if (b->random().Int(0, 1)) {
    third = b->Constants({plan.slot.outputs});
  }
  const int scales = b->Constants({plan.slot.outputs});
  const int to = is_forward ? plan.output_elements : plan.input_elements;
  std::vector<int> outputs = {shares ? from : b->Floats({to})};
  if (is_forward && plan.keeps_gates) {
    outputs.push_back(b->Bytes((int64_t{plan.output_elements} + 7) / 8));
  }
  outputs.push_back(b->Floats({block}));
  return b->Finish({from, weights, third, scales}, outputs);
}

Call DrawLayer(Builder* b, Role role, const LayerPlan& plan) {
  if (role == Role::kInt8Input) return DrawInt8Input(b, plan);
  if (role == Role::kInt8Forward) return DrawInt8Weights(b, true, plan);
  if (role == Role::kInt8InputGradient) return DrawInt8Weights(b, false, plan);
  if (role == Role::kForward) return DrawForward(b, plan);
  if (role == Role::kInputGradient) return DrawInputGradient(b, plan);
  return DrawUpdate(b, role, plan);
}

// The options that conv2d and dense share.
template <typename Options>
void DrawTraining(Random* random, Role role, int channels, Options* options) {
  options->activation = random->Int(kActivationNone, kActivationLeakyRelu);
  options->negative_slope = options->activation == kActivationLeakyRelu ? 0.25f : 0.0f;
  options->keeps_gates = options->activation == kActivationNone ? 0 : random->Int(0, 1);
  options->selection_offset = kStateWords + random->Int(0, 2);
  options->selection_capacity = random->Int(0, channels);
  options->accumulates = random->Int(0, 1);
  const int slots = random->Int(0, role == Role::kUpdate ? 1 : 2);
  options->optimizer_slots = role == Role::kAdam ? 2 : slots;
  options->bias_offset = random->Int(0, 1) ? kNoBiasRun : random->Int(0, 3);
  options->importance_offset = random->Int(0, 1) ? kNoImportance : random->Int(0, 3);
}

template <typename Options>
int CopiesOf(const Options& options) {
  return 1 + (options.accumulates != 0) + Clamp(options.optimizer_slots, 0, 2);
}

template <typename Options>
LayerPlan Plan(const Options& options, int channels, int outputs, int weights, int stash) {
  LayerPlan plan;
  const int copies = CopiesOf(options);
  plan.slot = {options.selection_offset,
               options.selection_capacity,
               channels,
               weights,
               stash,
               copies,
               options.bias_offset,
               outputs};
  plan.keeps_gates = options.keeps_gates != 0;
  plan.importance_offset = options.importance_offset;
  plan.optimizer_slots = options.optimizer_slots;
  plan.input_elements = Product({channels, stash});
  return plan;
}

enum Kind { kPlain, kDepthwise, kTransposed };

template <Role role, Kind kind>
Call DrawConvolution(Builder* b) {
  const bool depthwise = kind == kDepthwise;
  Random& random = b->random();
  auto options = Blank<Conv2dOptions>();
  options.input_channels = DrawChannelCount(&random);
  options.output_channels =
      depthwise ? options.input_channels * random.Int(1, 3) : random.Int(1, 6);
  DrawConvolutionAxis(&random, 0, &options);
  DrawConvolutionAxis(&random, 1, &options);
  if (kind == kTransposed) std::swap(options.input_size, options.output_size);
  DrawTraining(&random, role, options.input_channels, &options);
  if (role >= Role::kInt8Forward) options.bias_offset = kNoBiasRun;
  b->SetOptions(&options);
  const int channels = options.input_channels;
  const int outputs = options.output_channels;
  const int fan_out =
      depthwise ? Clamp(int64_t{outputs} / (channels == 0 ? 1 : channels), -1, kMaxChannels)
                : outputs;
  const int* kernel = options.kernel_size;
  LayerPlan plan = Plan(options, channels, outputs, Product({kernel[0], kernel[1], fan_out}),
                        Product({options.input_size[0], options.input_size[1]}));
  plan.weights = {channels, kernel[0], kernel[1], fan_out};
  plan.weights_of_output = Product({kernel[0], kernel[1], depthwise ? fan_out : channels});
  plan.output_elements = MapElements(options.output_size, outputs);
  const int extent = Clamp((int64_t{kernel[0]} - 1) * options.dilation[0] + 1, 0, 4096);
  plan.rows = Product(
      {std::min(extent, Clamp(options.input_size[0], 0, 4096)), options.input_size[1], channels});
  plan.may_share = depthwise && fan_out == 1 && plan.input_elements == plan.output_elements;
  return DrawLayer(b, role, plan);
}

template <Role role>
Call DrawDense(Builder* b) {
  Random& random = b->random();
  auto options = Blank<DenseOptions>();
  options.inputs = DrawChannelCount(&random);
  options.units = random.Int(1, 9);
  DrawTraining(&random, role, options.inputs, &options);
  if (role >= Role::kInt8Forward) options.bias_offset = kNoBiasRun;
  b->SetOptions(&options);
  LayerPlan plan = Plan(options, options.inputs, options.units, options.units, 1);
  plan.weights = {options.inputs, options.units};
  plan.weights_of_output = options.inputs;
  plan.output_elements = options.units;
  plan.may_share = false;
  plan.rows = 0;
  return DrawLayer(b, role, plan);
}

template <bool kInt8>
Call DrawStash(Builder* b) {
  Random& random = b->random();
  auto options = Blank<StashOptions>();
  options.pixels = random.Int(1, 12);
  options.channels = random.Int(1, 6);
  options.channel_weights = random.Int(1, 9);
  options.selection_offset = kStateWords + random.Int(0, 2);
  options.selection_capacity = random.Int(0, options.channels);
  options.accumulates = random.Int(0, 1);
  options.optimizer_slots = random.Int(0, 2);
  b->SetOptions(&options);
  const int copies = CopiesOf(options);
  const State state =
      AddState(b, {options.selection_offset, options.selection_capacity, options.channels,
                   options.channel_weights, options.pixels, copies, kNoBiasRun, 0});
  const int elements = Product({options.pixels, options.channels});
  const int x = kInt8 ? b->Int8s({elements}) : b->Floats({elements});
  std::vector<int> inputs = {x, state.pool, state.selection, b->Command()};
  if (kInt8) inputs.push_back(b->ConstantFloats({0.1f, 3.0f}));
  return b->Finish(inputs, {});
}

Call DrawAdamRate(Builder* b) {
  Random& random = b->random();
  auto options = Blank<AdamRateOptions>();
  options.corrections_offset = kStateWords + random.Int(0, 2);
  b->SetOptions(&options);
  const int end = Clamp(int64_t{options.corrections_offset} + kCorrectionWords, 0, 4096);
  std::vector<int32_t> words(end + random.Int(0, 2));
  const float half = 0.5f;
  if (random.Int(0, 1) && end > 0) memcpy(&words[end - 1], &half, sizeof(half));
  const int rate = b->Rate();
  const int command = b->Command();
  const int selection = b->Ints(words);
  const int constants = b->ConstantFloats({0.1f, 0.01f, 1e-3f, 0.25f, 0.0f});
  return b->Finish({rate, command, selection, constants}, {b->Floats({2})});
}

}  // namespace

const Draws& LayerCalls() {
  static const Draws draws = {
      {kConv2dName, DrawConvolution<Role::kForward, kPlain>},
      {kConv2dInputGradientName, DrawConvolution<Role::kInputGradient, kPlain>},
      {kConv2dUpdateName, DrawConvolution<Role::kUpdate, kPlain>},
      {kConv2dAdamName, DrawConvolution<Role::kAdam, kPlain>},
      {kDepthwiseConv2dName, DrawConvolution<Role::kForward, kDepthwise>},
      {kDepthwiseConv2dInputGradientName, DrawConvolution<Role::kInputGradient, kDepthwise>},
      {kDepthwiseConv2dUpdateName, DrawConvolution<Role::kUpdate, kDepthwise>},
      {kDepthwiseConv2dAdamName, DrawConvolution<Role::kAdam, kDepthwise>},
      {kConv2dTransposeName, DrawConvolution<Role::kForward, kTransposed>},
      {kConv2dTransposeInputGradientName, DrawConvolution<Role::kInputGradient, kTransposed>},
      {kConv2dTransposeUpdateName, DrawConvolution<Role::kUpdate, kTransposed>},
      {kConv2dTransposeAdamName, DrawConvolution<Role::kAdam, kTransposed>},
      {kDenseName, DrawDense<Role::kForward>},
      {kDenseInputGradientName, DrawDense<Role::kInputGradient>},
      {kDenseUpdateName, DrawDense<Role::kUpdate>},
      {kDenseAdamName, DrawDense<Role::kAdam>},
      {kAdamRateName, DrawAdamRate},
      {kInt8WeightsConv2dName, DrawConvolution<Role::kInt8Forward, kPlain>},
      {kInt8WeightsConv2dInputGradientName, DrawConvolution<Role::kInt8InputGradient, kPlain>},
      {kInt8WeightsDepthwiseConv2dName, DrawConvolution<Role::kInt8Forward, kDepthwise>},
      {kInt8WeightsDepthwiseConv2dInputGradientName,
       DrawConvolution<Role::kInt8InputGradient, kDepthwise>},
      {kInt8WeightsDenseName, DrawDense<Role::kInt8Forward>},
      {kInt8WeightsDenseInputGradientName, DrawDense<Role::kInt8InputGradient>},
      {kStashName, DrawStash<false>},
      {kInt8InputStashName, DrawStash<true>},
      {kInt8InputConv2dName, DrawConvolution<Role::kInt8Input, kPlain>},
      {kInt8InputDepthwiseConv2dName, DrawConvolution<Role::kInt8Input, kDepthwise>},
  };
  return draws;
}

}  // namespace fake
}  // namespace medyate
