#include "tests/tflm_ops/kernels/kernel_calls.h"

#include <algorithm>
#include <initializer_list>
#include <map>

#include "tflm_ops/schema/op_options.h"

namespace medyate {
namespace fake {
namespace {

constexpr int64_t kMostElements = 0x7fffffff;

// A product, held within the range of int: options may say anything.
int Product(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (int64_t factor : factors) {
    product *= std::max<int64_t>(factor, 0);
    product = std::min(product, kMostElements);
  }
  return static_cast<int>(product);
}

int Clamp(int64_t value, int64_t low, int64_t high) {
  return static_cast<int>(std::min(std::max(value, low), high));
}

// Puts a call together. Each function returns the index of the tensor it adds.
class Builder {
 public:
  Builder(const std::string& op, Random* random, bool wild) : random_(random), wild_(wild) {
    call_.op = op;
  }

  Random& random() { return *random_; }

  // Now and then, if the call is to be wild.
  bool Extreme() { return wild_ && random_->Int(0, 7) == 0; }

  // Makes some of the words odd, if the call is to be wild; tensors are drawn afterwards.
  template <typename Options>
  void Perturb(Options* options) {
    constexpr int kWords = sizeof(Options) / sizeof(uint32_t);
    if (!wild_ || kWords < 2) return;
    uint32_t words[kWords];
    memcpy(words, options, sizeof(words));
    for (int n = random_->Int(1, 2); n > 0; --n) {
      uint32_t* word = &words[random_->Int(1, kWords - 1)];
      *word = OddWord(random_, *word);
    }
    memcpy(options, words, sizeof(words));
  }

  template <typename Options>
  void SetOptions(const Options& options) {
    call_.options.resize(sizeof(options));
    memcpy(call_.options.data(), &options, sizeof(options));
  }

  int Floats(const std::vector<int>& dims) {
    const int index = Add(tflm::kFloat32, dims);
    Tensor& tensor = call_.tensors[index];
    const int64_t n = std::max<int64_t>(BytesOf(tensor), 0) / 4;
    const std::vector<float> values = random_->Floats(static_cast<int>(n));
    SetContent(index, values.data(), values.size() * sizeof(float));
    return index;
  }

  int Constants(const std::vector<int>& dims) { return Keep(Floats(dims)); }

  // From 0 to 1.
  int Shares(int n) {
    std::vector<float> values = random_->Floats(n);
    for (float& value : values) value = std::min(std::max(value, 0.0f), 1.0f);
    const int index = Add(tflm::kFloat32, {n});
    SetContent(index, values.data(), values.size() * sizeof(float));
    return index;
  }
  int ConstantShares(int n) { return Keep(Shares(n)); }

  int ConstantFloats(const std::vector<float>& values) {
    const int index = Add(tflm::kFloat32, {static_cast<int>(values.size())});
    SetContent(index, values.data(), values.size() * sizeof(float));
    return Keep(index);
  }

  int Ints(const std::vector<int32_t>& values) {
    const int index = Add(tflm::kInt32, {static_cast<int>(values.size())});
    SetContent(index, values.data(), values.size() * sizeof(int32_t));
    return index;
  }

  int ConstantInts(const std::vector<int32_t>& values) { return Keep(Ints(values)); }

  int Bytes(int n) { return Add(tflm::kUInt8, {n}); }

  int Int8s(const std::vector<int>& dims) {
    const int index = Add(tflm::kInt8, dims);
    std::vector<int8_t> values(std::max<int64_t>(BytesOf(call_.tensors[index]), 0));
    for (int8_t& value : values) value = static_cast<int8_t>(random_->Int(-128, 127));
    SetContent(index, values.data(), values.size());
    return index;
  }

  int ConstantInt8s(const std::vector<int>& dims) { return Keep(Int8s(dims)); }

  // [3][channels]: bias, multiplier, shift, some of them odd if the call is to be wild.
  int Requantization(int channels) {
    const int n = Clamp(channels, 0, kMaxChannels);
    std::vector<int32_t> words;
    for (int i = 0; i < n; ++i) words.push_back(random_->Int(-100000, 100000));
    for (int i = 0; i < n; ++i) words.push_back((1 << 30) + random_->Int(0, 1 << 29));
    for (int i = 0; i < n; ++i) words.push_back(random_->Int(1, 31));
    if (n > 0 && Extreme()) {
      int32_t* word = &words[random_->Int(0, 3 * n - 1)];
      *word = static_cast<int32_t>(OddWord(random_, static_cast<uint32_t>(*word)));
    }
    const int index = Add(tflm::kInt32, {3, channels});
    SetContent(index, words.data(), words.size() * sizeof(int32_t));
    return Keep(index);
  }

  int Command() { return Ints({random_->Int(kCommandPredict, kCommandEvaluate)}); }

  int Rate() {
    const int rate = Add(tflm::kFloat32, {1});
    const float value = 0.125f;
    SetContent(rate, &value, sizeof(value));
    return rate;
  }

  void SetContent(int index, const void* content, size_t bytes) {
    const uint8_t* begin = static_cast<const uint8_t*>(content);
    call_.tensors[index].content.assign(begin, begin + bytes);
  }

  Call Finish(const std::vector<int>& inputs, const std::vector<int>& outputs) {
    call_.inputs = inputs;
    call_.outputs = outputs;
    return call_;
  }

 private:
  int Add(tflm::Type type, const std::vector<int>& dims) {
    Tensor tensor;
    tensor.type = type;
    tensor.dims = dims;
    call_.tensors.push_back(tensor);
    return static_cast<int>(call_.tensors.size()) - 1;
  }

  int Keep(int index) {
    call_.tensors[index].is_constant = true;
    return index;
  }

  Random* random_;
  bool wild_;
  Call call_;
};

// Layers: conv2d, depthwise conv2d, dense.

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

// Draws channels and lays their run after the bias's.
State AddState(Builder* b, const SlotPlan& plan) {
  Random& random = b->random();
  const int capacity = Clamp(plan.capacity, 0, 64);
  const int drawn = random.Int(0, std::min(capacity, Clamp(plan.channels, 0, 64)));
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
  const std::vector<uint16_t> channels = random.Channels(Clamp(plan.channels, 0, 64), drawn);
  if (drawn > 0) {
    memcpy(&words[offset + kSelectionHeaderWords], channels.data(), drawn * sizeof(uint16_t));
  }
  State state;
  state.pool = b->Floats({pool});
  state.selection = b->Ints(words);
  return state;
}

enum class Role { kForward, kInputGradient, kUpdate, kInt8Forward, kInt8InputGradient };

struct LayerPlan {
  SlotPlan slot;
  int input_elements;
  int output_elements;
  std::vector<int> weights;
  bool keeps_gates;
  int importance_offset;
  bool has_velocity;
  int weights_of_output;  // What a forward block of int8 weights must hold; see int8_weights.h.
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

Call DrawUpdate(Builder* b, const LayerPlan& plan) {
  Random& random = b->random();
  const State state = AddState(b, plan.slot);
  const int dy = b->Floats({plan.output_elements});
  int importance = tflm::kOptionalTensor;
  if (plan.importance_offset != kNoImportance) {
    importance = b->Floats({Clamp(int64_t{plan.importance_offset} + plan.slot.channels, 1, 4096)});
  }
  const float momentum = plan.has_velocity && random.Int(0, 1) ? 0.5f : 0.0f;
  const int optimizer = b->ConstantFloats(
      {momentum, random.Int(0, 1) * 1.0f, random.Int(0, 1) * 0.25f, random.Int(0, 1) * 0.5f});
  const bool trains_bias = plan.slot.bias_offset != kNoBiasRun;
  const int least = std::max(plan.slot.channel_weights, trains_bias ? plan.slot.outputs : 1);
  const int room = Clamp(int64_t{least} + random.Int(0, 20), 1, kMostElements);
  const int rate = b->Rate();
  const int command = b->Command();
  return b->Finish({dy, state.pool, state.selection, rate, command, importance, optimizer},
                   {b->Floats({room})});
}

// The same layers with int8 weights, of which some channels at a time become floats.
Call DrawInt8Weights(Builder* b, bool is_forward, const LayerPlan& plan) {
  const int least = is_forward ? plan.weights_of_output : plan.slot.channel_weights;
  const int block = Clamp(int64_t{least} * b->random().Int(1, 6), 1, kMostElements);
  const int from = b->Floats({is_forward ? plan.input_elements : plan.output_elements});
  const int weights = b->ConstantInt8s(plan.weights);
  int third = tflm::kOptionalTensor;
  if (!is_forward) {
    third = b->Command();
  } else if (b->random().Int(0, 1)) {
    third = b->Constants({plan.slot.outputs});
  }
  const int scales = b->Constants({plan.slot.outputs});
  std::vector<int> outputs = {b->Floats({is_forward ? plan.output_elements : plan.input_elements})};
  if (is_forward && plan.keeps_gates) {
    outputs.push_back(b->Bytes((int64_t{plan.output_elements} + 7) / 8));
  }
  outputs.push_back(b->Floats({block}));
  return b->Finish({from, weights, third, scales}, outputs);
}

Call DrawLayer(Builder* b, Role role, const LayerPlan& plan) {
  if (role == Role::kInt8Forward) return DrawInt8Weights(b, true, plan);
  if (role == Role::kInt8InputGradient) return DrawInt8Weights(b, false, plan);
  if (role == Role::kForward) return DrawForward(b, plan);
  if (role == Role::kInputGradient) return DrawInputGradient(b, plan);
  return DrawUpdate(b, plan);
}

// The options that conv2d and dense share.
template <typename Options>
void DrawTraining(Random* random, int channels, Options* options) {
  options->activation = random->Int(kActivationNone, kActivationLeakyRelu);
  options->negative_slope = options->activation == kActivationLeakyRelu ? 0.25f : 0.0f;
  options->keeps_gates = options->activation == kActivationNone ? 0 : random->Int(0, 1);
  options->selection_offset = kStateWords + random->Int(0, 2);
  options->selection_capacity = random->Int(0, channels);
  options->accumulates = random->Int(0, 1);
  options->has_velocity = random->Int(0, 1);
  options->bias_offset = random->Int(0, 1) ? kNoBiasRun : random->Int(0, 3);
  options->importance_offset = random->Int(0, 1) ? kNoImportance : random->Int(0, 3);
}

template <typename Options>
LayerPlan Plan(const Options& options, int channels, int outputs, int weights, int stash) {
  LayerPlan plan;
  const int copies = 1 + (options.accumulates != 0) + (options.has_velocity != 0);
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
  plan.has_velocity = options.has_velocity != 0;
  plan.input_elements = Product({channels, stash});
  return plan;
}

void DrawConvolutionAxis(Random* random, int i, Conv2dOptions* options) {
  options->input_size[i] = random->Int(1, 7);
  options->kernel_size[i] = random->Int(1, 4);
  options->stride[i] = random->Int(1, 3);
  options->dilation[i] = random->Int(1, 2);
  options->padding[i] = random->Int(0, (options->kernel_size[i] - 1) * options->dilation[i]);
  options->output_size[i] =
      random->Int(1, (options->input_size[i] - 1 + options->padding[i]) / options->stride[i] + 1);
}

Call DrawConvolution(Builder* b, Role role, bool depthwise) {
  Random& random = b->random();
  Conv2dOptions options = {};
  options.version = kOptionsVersion;
  options.input_channels = random.Int(1, 6);
  options.output_channels =
      depthwise ? options.input_channels * random.Int(1, 3) : random.Int(1, 6);
  DrawConvolutionAxis(&random, 0, &options);
  DrawConvolutionAxis(&random, 1, &options);
  DrawTraining(&random, options.input_channels, &options);
  if (role >= Role::kInt8Forward) options.bias_offset = kNoBiasRun;
  b->Perturb(&options);
  b->SetOptions(options);
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
  plan.output_elements = Product({options.output_size[0], options.output_size[1], outputs});
  return DrawLayer(b, role, plan);
}

Call DrawConvolutionTranspose(Builder* b, bool is_gradient) {
  Random& random = b->random();
  Conv2dOptions options = {};
  options.version = kOptionsVersion;
  options.input_channels = random.Int(1, 5);
  options.output_channels = random.Int(1, 5);
  DrawConvolutionAxis(&random, 0, &options);
  DrawConvolutionAxis(&random, 1, &options);
  options.selection_offset = kStateWords;
  options.bias_offset = kNoBiasRun;
  b->Perturb(&options);
  b->SetOptions(options);
  const int channels = options.input_channels;
  const int large =
      b->Floats({Product({options.input_size[0], options.input_size[1], channels})});
  const int small = b->Floats(
      {Product({options.output_size[0], options.output_size[1], options.output_channels})});
  const int weights = b->Constants(
      {channels, options.kernel_size[0], options.kernel_size[1], options.output_channels});
  if (is_gradient) return b->Finish({large, weights, b->Command()}, {small});
  const int bias = random.Int(0, 1) ? b->Constants({channels}) : tflm::kOptionalTensor;
  return b->Finish({small, weights, bias}, {large});
}

Call DrawConv2dTranspose(Builder* b) { return DrawConvolutionTranspose(b, false); }
Call DrawConv2dTransposeGradient(Builder* b) { return DrawConvolutionTranspose(b, true); }

// Draws the axes of two convolutions in a row into the options of the op that does both.
template <typename Options>
void DrawTwoConvolutions(Random* random, Options* options) {
  Conv2dOptions conv = {}, depthwise = {};
  for (int i = 0; i < 2; ++i) {
    DrawConvolutionAxis(random, i, &conv);
    DrawConvolutionAxis(random, i, &depthwise);
    depthwise.input_size[i] = conv.output_size[i];
    depthwise.output_size[i] = random->Int(
        1, (depthwise.input_size[i] - 1 + depthwise.padding[i]) / depthwise.stride[i] + 1);
  }
  for (int i = 0; i < 2; ++i) {
    options->input_size[i] = conv.input_size[i];
    options->middle_size[i] = conv.output_size[i];
    options->output_size[i] = depthwise.output_size[i];
    options->conv_kernel_size[i] = conv.kernel_size[i];
    options->conv_stride[i] = conv.stride[i];
    options->conv_dilation[i] = conv.dilation[i];
    options->conv_padding[i] = conv.padding[i];
    options->depthwise_kernel_size[i] = depthwise.kernel_size[i];
    options->depthwise_stride[i] = depthwise.stride[i];
    options->depthwise_dilation[i] = depthwise.dilation[i];
    options->depthwise_padding[i] = depthwise.padding[i];
  }
}

// Rows between the two that one output row can need.
template <typename Options>
int MiddleRows(const Options& options) {
  const int kernel = options.depthwise_kernel_size[0];
  const int extent = Clamp((int64_t{kernel} - 1) * options.depthwise_dilation[0] + 1, 0, 4096);
  return std::min(extent, Clamp(options.middle_size[0], 0, 4096));
}

Call DrawConvDepthwise(Builder* b) {
  Random& random = b->random();
  ConvDepthwiseOptions options = {};
  options.version = kOptionsVersion;
  options.input_channels = random.Int(1, 5);
  options.middle_channels = random.Int(1, 5);
  options.output_channels = options.middle_channels * random.Int(1, 2);
  options.conv_activation = random.Int(kActivationNone, kActivationRelu6);
  options.depthwise_activation = random.Int(kActivationNone, kActivationRelu6);
  DrawTwoConvolutions(&random, &options);
  b->Perturb(&options);
  b->SetOptions(options);
  const int* kernel = options.depthwise_kernel_size;
  const int rows = MiddleRows(options);
  const int middle = options.middle_channels;
  const int fan_out =
      Clamp(int64_t{options.output_channels} / (middle == 0 ? 1 : middle), -1, kMaxChannels);
  const int x =
      b->Floats({Product({options.input_size[0], options.input_size[1], options.input_channels})});
  const int conv_weights = b->Constants(
      {options.input_channels, options.conv_kernel_size[0], options.conv_kernel_size[1], middle});
  const int depthwise_weights = b->Constants({middle, kernel[0], kernel[1], fan_out});
  const int conv_bias = random.Int(0, 1) ? b->Constants({middle}) : tflm::kOptionalTensor;
  const int depthwise_bias =
      random.Int(0, 1) ? b->Constants({options.output_channels}) : tflm::kOptionalTensor;
  const int y = b->Floats(
      {Product({options.output_size[0], options.output_size[1], options.output_channels})});
  return b->Finish({x, conv_weights, conv_bias, depthwise_weights, depthwise_bias},
                   {y, b->Floats({Product({rows, options.middle_size[1], middle})})});
}

Call DrawInt8Convolution(Builder* b, bool is_depthwise) {
  Random& random = b->random();
  Conv2dOptions axes = {};
  for (int i = 0; i < 2; ++i) DrawConvolutionAxis(&random, i, &axes);
  Int8Conv2dOptions options = {};
  options.version = kOptionsVersion;
  options.input_channels = random.Int(1, 9);
  options.output_channels =
      is_depthwise ? options.input_channels * random.Int(1, 2) : random.Int(1, 9);
  for (int i = 0; i < 2; ++i) {
    options.input_size[i] = axes.input_size[i];
    options.output_size[i] = axes.output_size[i];
    options.kernel_size[i] = axes.kernel_size[i];
    options.stride[i] = axes.stride[i];
    options.dilation[i] = axes.dilation[i];
    options.padding[i] = axes.padding[i];
  }
  options.input_zero = random.Int(-128, 127);
  options.output_zero = random.Int(-128, 127);
  b->Perturb(&options);
  b->SetOptions(options);
  const int* kernel = options.kernel_size;
  const int x = b->Int8s(
      {1, Product({options.input_size[0], options.input_size[1], options.input_channels})});
  const int first = is_depthwise ? 1 : options.output_channels;
  const int last = is_depthwise ? options.output_channels : options.input_channels;
  const int weights = b->ConstantInt8s({first, kernel[0], kernel[1], last});
  const int table = b->Requantization(options.output_channels);
  const int y = b->Int8s(
      {Product({options.output_size[0], options.output_size[1], options.output_channels})});
  std::vector<int> outputs = {y};
  if (!is_depthwise) {
    const int64_t depth = Product({kernel[0], kernel[1], options.input_channels});
    outputs.push_back(b->Bytes(Clamp((depth + 3) / 4 * 20, 0, kMostElements)));
  }
  return b->Finish({x, weights, table}, outputs);
}

Call DrawInt8ConvDepthwise(Builder* b) {
  Random& random = b->random();
  Int8ConvDepthwiseOptions options = {};
  options.version = kOptionsVersion;
  options.input_channels = random.Int(1, 9);
  options.middle_channels = random.Int(1, 9);
  options.output_channels = options.middle_channels * random.Int(1, 2);
  options.input_zero = random.Int(-128, 127);
  options.middle_zero = random.Int(-128, 127);
  options.output_zero = random.Int(-128, 127);
  DrawTwoConvolutions(&random, &options);
  b->Perturb(&options);
  b->SetOptions(options);
  const int* conv = options.conv_kernel_size;
  const int* depthwise = options.depthwise_kernel_size;
  const int middle = options.middle_channels, outputs = options.output_channels;
  const int x = b->Int8s(
      {Product({options.input_size[0], options.input_size[1], options.input_channels})});
  const int conv_weights = b->ConstantInt8s({middle, conv[0], conv[1], options.input_channels});
  const int conv_table = b->Requantization(middle);
  const int weights = b->ConstantInt8s({1, depthwise[0], depthwise[1], outputs});
  const int table = b->Requantization(outputs);
  const int y = b->Int8s({Product({options.output_size[0], options.output_size[1], outputs})});
  const int rows = b->Bytes(Product({MiddleRows(options), options.middle_size[1], middle}));
  const int64_t depth = Product({conv[0], conv[1], options.input_channels});
  const int patches = b->Bytes(Clamp((depth + 3) / 4 * 20, 0, kMostElements));
  return b->Finish({x, conv_weights, conv_table, weights, table}, {y, rows, patches});
}

Call DrawInt8Conv(Builder* b) { return DrawInt8Convolution(b, false); }
Call DrawInt8Depthwise(Builder* b) { return DrawInt8Convolution(b, true); }

Call DrawInt8Add(Builder* b) {
  Random& random = b->random();
  Int8AddOptions options = {};
  options.version = kOptionsVersion;
  for (int i = 0; i < 3; ++i) {
    options.zero[i] = random.Int(-128, 127);
    options.multiplier[i] = (1 << 30) + random.Int(0, 1 << 29);
    options.shift[i] = random.Int(0, 31);
  }
  b->Perturb(&options);
  b->SetOptions(options);
  const int n = random.Int(1, 40);
  const int first = b->Int8s({n}), second = b->Int8s({n});
  return b->Finish({first, second}, {b->Int8s({n})});
}

Call DrawQuantization(Builder* b, bool to_int8) {
  Random& random = b->random();
  QuantizationOptions options = {};
  options.version = kOptionsVersion;
  options.scale = 0.001f + static_cast<float>(random.Int(0, 1000)) * 0.001f;
  options.zero = random.Int(-128, 127);
  b->Perturb(&options);
  b->SetOptions(options);
  const int n = random.Int(1, 40);
  const int x = to_int8 ? b->Floats({n}) : b->Int8s({n});
  return b->Finish({x}, {to_int8 ? b->Int8s({n}) : b->Floats({n})});
}

Call DrawQuantize(Builder* b) { return DrawQuantization(b, true); }
Call DrawDequantize(Builder* b) { return DrawQuantization(b, false); }

Call DrawDense(Builder* b, Role role) {
  Random& random = b->random();
  DenseOptions options = {};
  options.version = kOptionsVersion;
  options.inputs = random.Int(1, 9);
  options.units = random.Int(1, 9);
  DrawTraining(&random, options.inputs, &options);
  if (role >= Role::kInt8Forward) options.bias_offset = kNoBiasRun;
  b->Perturb(&options);
  b->SetOptions(options);
  LayerPlan plan = Plan(options, options.inputs, options.units, options.units, 1);
  plan.weights = {options.inputs, options.units};
  plan.weights_of_output = options.inputs;
  plan.output_elements = options.units;
  return DrawLayer(b, role, plan);
}

template <Role role, bool depthwise>
Call DrawConvolution(Builder* b) {
  return DrawConvolution(b, role, depthwise);
}

template <Role role>
Call DrawDense(Builder* b) {
  return DrawDense(b, role);
}

Call DrawStash(Builder* b) {
  Random& random = b->random();
  StashOptions options = {};
  options.version = kOptionsVersion;
  options.pixels = random.Int(1, 12);
  options.channels = random.Int(1, 6);
  options.channel_weights = random.Int(1, 9);
  options.selection_offset = kStateWords + random.Int(0, 2);
  options.selection_capacity = random.Int(0, options.channels);
  options.accumulates = random.Int(0, 1);
  options.has_velocity = random.Int(0, 1);
  b->Perturb(&options);
  b->SetOptions(options);
  const int copies = 1 + (options.accumulates != 0) + (options.has_velocity != 0);
  const State state =
      AddState(b, {options.selection_offset, options.selection_capacity, options.channels,
                   options.channel_weights, options.pixels, copies, kNoBiasRun, 0});
  const int x = b->Floats({Product({options.pixels, options.channels})});
  return b->Finish({x, state.pool, state.selection, b->Command()}, {});
}

// Ops without weights.

GateOptions DrawGateOptions(Builder* b) {
  Random& random = b->random();
  GateOptions options = {};
  options.version = kOptionsVersion;
  options.activation = random.Int(kActivationRelu, kActivationLeakyRelu);
  options.negative_slope = options.activation == kActivationLeakyRelu ? 0.25f : 0.0f;
  options.keeps_gates = 1;
  return options;
}

Call DrawActivation(Builder* b) {
  GateOptions options = DrawGateOptions(b);
  options.keeps_gates = b->random().Int(0, 1);
  b->Perturb(&options);
  b->SetOptions(options);
  const int n = b->random().Int(1, 40);
  std::vector<int> outputs = {b->Floats({n})};
  if (options.keeps_gates != 0) outputs.push_back(b->Bytes((n + 7) / 8));
  return b->Finish({b->Floats({n})}, outputs);
}

Call DrawGateGradient(Builder* b) {
  GateOptions options = DrawGateOptions(b);
  b->Perturb(&options);
  b->SetOptions(options);
  const int n = b->random().Int(1, 40);
  return b->Finish({b->Bytes((n + 7) / 8), b->Floats({n}), b->Command()}, {b->Floats({n})});
}

// The first `floats` inputs are floats, then there is perhaps a command.
Call DrawElements(Builder* b, int floats, bool command) {
  ElementsOptions options = {kOptionsVersion};
  b->SetOptions(options);
  const int n = b->random().Int(1, 40);
  std::vector<int> inputs;
  for (int i = 0; i < floats; ++i) inputs.push_back(b->Floats({n}));
  if (command) inputs.push_back(b->Command());
  return b->Finish(inputs, {b->Floats({n})});
}

// Functions of one tensor that have parameters, and their gradients.
template <typename Options>
Call DrawUnary(Builder* b, Options options, int n, bool gradient) {
  b->Perturb(&options);
  b->SetOptions(options);
  std::vector<int> inputs = {b->Floats({n})};
  if (gradient) {
    inputs.push_back(b->Floats({n}));
    inputs.push_back(b->Command());
  }
  return b->Finish(inputs, {b->Floats({n})});
}

template <bool kGradient>
Call DrawClippedRelu(Builder* b) {
  ReluOptions options = {};
  options.version = kOptionsVersion;
  options.max_value = 0.5f;
  options.threshold = 0.125f;
  options.negative_slope = b->random().Float();
  return DrawUnary(b, options, b->random().Int(1, 40), kGradient);
}

template <bool kGradient>
Call DrawElu(Builder* b) {
  EluOptions options = {};
  options.version = kOptionsVersion;
  options.alpha = 0.75f;
  options.scale = 1.25f;
  return DrawUnary(b, options, b->random().Int(1, 40), kGradient);
}

template <bool kGradient>
Call DrawSoftmax(Builder* b) {
  SoftmaxOptions options = {};
  options.version = kOptionsVersion;
  options.size = b->random().Int(1, 5);
  options.inner = b->random().Int(1, 4);
  const int n = options.size * options.inner * b->random().Int(1, 3);
  return DrawUnary(b, options, n, kGradient);
}

Call DrawBroadcast(Builder* b, bool gradient, bool needs) {
  BroadcastOptions options = {};
  options.version = kOptionsVersion;
  for (int i = 0; i < 3; ++i) {
    options.size[i] = b->random().Int(1, 4);
    options.a_size[i] = b->random().Int(0, 2) == 0 ? 1 : options.size[i];
    options.b_size[i] = b->random().Int(0, 2) == 0 ? 1 : options.size[i];
  }
  options.operand = gradient ? b->random().Int(0, 1) : 0;
  b->Perturb(&options);
  b->SetOptions(options);
  const int y = Product({options.size[0], options.size[1], options.size[2]});
  const int a_size = Product({options.a_size[0], options.a_size[1], options.a_size[2]});
  const int b_size = Product({options.b_size[0], options.b_size[1], options.b_size[2]});
  if (!gradient) return b->Finish({b->Floats({a_size}), b->Floats({b_size})}, {b->Floats({y})});
  std::vector<int> inputs = {b->Floats({y}), b->Command()};
  inputs.push_back(needs ? b->Floats({a_size}) : tflm::kOptionalTensor);
  inputs.push_back(needs ? b->Floats({b_size}) : tflm::kOptionalTensor);
  return b->Finish(inputs, {b->Floats({options.operand == 1 ? b_size : a_size})});
}

Call DrawBinary(Builder* b) { return DrawBroadcast(b, false, true); }
Call DrawBinaryGradient(Builder* b) { return DrawBroadcast(b, true, true); }
Call DrawSumGradient(Builder* b) { return DrawBroadcast(b, true, false); }

Call DrawAdd(Builder* b) { return DrawElements(b, 2, b->random().Int(0, 1) == 1); }

struct PoolPlan {
  PoolOptions options;
  int inputs;
  int outputs;
  int choice_bytes;
};

PoolPlan DrawPool(Builder* b, int keeps_choices) {
  Random& random = b->random();
  PoolOptions options = {};
  options.version = kOptionsVersion;
  options.channels = random.Int(1, 5);
  for (int i = 0; i < 2; ++i) {
    options.input_size[i] = random.Int(1, 8);
    options.window[i] = random.Int(1, 4);
    options.stride[i] = random.Int(1, 4);
    options.padding[i] = random.Int(0, options.window[i] - 1);
    options.output_size[i] =
        random.Int(1, (options.input_size[i] - 1 + options.padding[i]) / options.stride[i] + 1);
  }
  options.keeps_choices = keeps_choices;
  if (b->Extreme()) {
    // More positions than an entry of the choices, or an int, can number.
    for (int i = 0; i < 2; ++i) {
      options.window[i] = random.Int(4000, 65535);
      options.padding[i] = options.window[i] - random.Int(1, 8);
    }
  }
  b->Perturb(&options);
  b->SetOptions(options);
  PoolPlan plan;
  plan.options = options;
  plan.inputs = Product({options.input_size[0], options.input_size[1], options.channels});
  plan.outputs = Product({options.output_size[0], options.output_size[1], options.channels});
  int bits = 0;
  while ((int64_t{1} << bits) < int64_t{options.window[0]} * options.window[1]) ++bits;
  plan.choice_bytes = Clamp((int64_t{plan.outputs} * bits + 7) / 8, 1, kMostElements);
  return plan;
}

Call DrawMaxPool(Builder* b) {
  const PoolPlan plan = DrawPool(b, b->random().Int(0, 1));
  std::vector<int> outputs = {b->Floats({plan.outputs})};
  if (plan.options.keeps_choices != 0) outputs.push_back(b->Bytes(plan.choice_bytes));
  return b->Finish({b->Floats({plan.inputs})}, outputs);
}

// The choices of a window that lies wholly inside, written entry by entry.
std::vector<uint8_t> GoodChoices(Random* random, const PoolPlan& plan) {
  const PoolOptions& o = plan.options;
  int bits = 0;
  while ((1 << bits) < o.window[0] * o.window[1]) ++bits;
  std::vector<uint8_t> bytes(plan.choice_bytes);
  int position = 0;
  for (int output = 0; output < plan.outputs; ++output) {
    const int at[] = {output / o.channels / o.output_size[1],
                      output / o.channels % o.output_size[1]};
    int tap[2];
    for (int i = 0; i < 2; ++i) {
      const int begin = at[i] * o.stride[i] - o.padding[i];
      tap[i] = random->Int(std::max(-begin, 0), std::min(o.window[i], o.input_size[i] - begin) - 1);
    }
    const int choice = tap[0] * o.window[1] + tap[1];
    for (int bit = 0; bit < bits; ++bit, ++position) {
      bytes[position / 8] |= ((choice >> bit) & 1) << (position % 8);
    }
  }
  return bytes;
}

Call DrawMaxPoolGradient(Builder* b, bool wild) {
  const PoolPlan plan = DrawPool(b, 1);
  const int choices = b->Bytes(plan.choice_bytes);
  if (!wild) {
    const std::vector<uint8_t> good = GoodChoices(&b->random(), plan);
    b->SetContent(choices, good.data(), good.size());
  }
  return b->Finish({choices, b->Floats({plan.outputs}), b->Command()}, {b->Floats({plan.inputs})});
}

Call DrawAveragePool(Builder* b) {
  const PoolPlan plan = DrawPool(b, 0);
  return b->Finish({b->Floats({plan.inputs})}, {b->Floats({plan.outputs})});
}

Call DrawInt8Pool(Builder* b) {
  const PoolPlan plan = DrawPool(b, 0);
  return b->Finish({b->Int8s({plan.inputs})}, {b->Int8s({plan.outputs})});
}

Call DrawAveragePoolGradient(Builder* b) {
  const PoolPlan plan = DrawPool(b, 0);
  return b->Finish({b->Floats({plan.outputs}), b->Command()}, {b->Floats({plan.inputs})});
}

Call DrawConcatenation(Builder* b) {
  Random& random = b->random();
  ConcatenationOptions options = {kOptionsVersion, random.Int(1, 4), random.Int(1, 5), 0, 0};
  std::vector<int> blocks = {options.block};
  for (int i = random.Int(1, 3); i > 0; --i) blocks.push_back(random.Int(1, 5));
  for (int block : blocks) options.total += block;
  b->Perturb(&options);
  b->SetOptions(options);
  blocks[0] = options.block;
  std::vector<int> inputs;
  for (int block : blocks) inputs.push_back(b->Floats({Product({options.blocks, block})}));
  return b->Finish(inputs, {b->Floats({Product({options.blocks, options.total})})});
}

Call DrawConcatenationGradient(Builder* b) {
  Random& random = b->random();
  ConcatenationOptions options = {kOptionsVersion, random.Int(1, 4), random.Int(1, 5), 0,
                                  random.Int(0, 5)};
  options.total = options.offset + options.block + random.Int(0, 3);
  b->Perturb(&options);
  b->SetOptions(options);
  return b->Finish({b->Floats({Product({options.blocks, options.total})}), b->Command()},
                   {b->Floats({Product({options.blocks, options.block})})});
}

struct PadPlan {
  int inner;
  int padded;
};

PadPlan DrawPadding(Builder* b) {
  Random& random = b->random();
  PadOptions options = {};
  options.version = kOptionsVersion;
  options.channels = random.Int(1, 5);
  for (int i = 0; i < 2; ++i) {
    options.input_size[i] = random.Int(1, 6);
    options.before[i] = random.Int(0, 3);
    options.after[i] = random.Int(0, 3);
  }
  b->Perturb(&options);
  b->SetOptions(options);
  int64_t sides[2];
  for (int i = 0; i < 2; ++i) {
    sides[i] = int64_t{options.before[i]} + options.input_size[i] + options.after[i];
  }
  return {Product({options.input_size[0], options.input_size[1], options.channels}),
          Product({sides[0], sides[1], options.channels})};
}

Call DrawPad(Builder* b) {
  const PadPlan plan = DrawPadding(b);
  return b->Finish({b->Floats({plan.inner})}, {b->Floats({plan.padded})});
}

Call DrawPadGradient(Builder* b) {
  const PadPlan plan = DrawPadding(b);
  return b->Finish({b->Floats({plan.padded}), b->Command()}, {b->Floats({plan.inner})});
}

Call DrawNormalization(Builder* b, bool is_gradient) {
  Random& random = b->random();
  NormalizeOptions options = {kOptionsVersion,  random.Int(1, 4), random.Int(1, 4),
                              random.Int(1, 3), random.Int(1, 5), random.Int(0, 1),
                              0.01f};
  b->Perturb(&options);
  b->SetOptions(options);
  const int n = Product({options.rows, options.positions, options.groups, options.width});
  const int channels = Product({options.groups, options.width});
  const int x = b->Floats({n});
  const int gamma = random.Int(0, 1) ? b->Constants({channels}) : tflm::kOptionalTensor;
  if (is_gradient) return b->Finish({x, gamma, b->Floats({n}), b->Command()}, {b->Floats({n})});
  const int beta = random.Int(0, 1) ? b->Constants({channels}) : tflm::kOptionalTensor;
  return b->Finish({x, gamma, beta}, {b->Floats({n})});
}

Call DrawNormalize(Builder* b) { return DrawNormalization(b, false); }
Call DrawNormalizeGradient(Builder* b) { return DrawNormalization(b, true); }

StridedCopyOptions DrawCopy(Builder* b) {
  Random& random = b->random();
  StridedCopyOptions options = {};
  options.version = kOptionsVersion;
  options.offset = random.Int(0, 3);
  options.input_elements = options.offset + 1 + random.Int(0, 2);
  for (int i = 0; i < 5; ++i) {
    options.sides[i] = random.Int(1, 3);
    options.strides[i] = random.Int(0, 6);
    options.input_elements += (options.sides[i] - 1) * options.strides[i];
  }
  b->Perturb(&options);
  b->SetOptions(options);
  return options;
}

int CopiedElements(const StridedCopyOptions& o) {
  return Product({o.sides[0], o.sides[1], o.sides[2], o.sides[3], o.sides[4]});
}

Call DrawStridedCopy(Builder* b) {
  const StridedCopyOptions options = DrawCopy(b);
  return b->Finish({b->Floats({options.input_elements})}, {b->Floats({CopiedElements(options)})});
}

Call DrawStridedCopyGradient(Builder* b) {
  const StridedCopyOptions options = DrawCopy(b);
  return b->Finish({b->Floats({CopiedElements(options)}), b->Command()},
                   {b->Floats({options.input_elements})});
}

Call DrawLoss(Builder* b, bool labelled) {
  Random& random = b->random();
  LossOptions options = {kOptionsVersion, 0.5f, 0.1f, 0.3f};
  b->Perturb(&options);
  b->SetOptions(options);
  const int n = random.Int(1, 20);
  std::vector<int> inputs = {
      b->Floats({n}), labelled ? b->Ints({random.Int(0, n - 1)}) : b->Shares(n), b->Command()};
  const int accumulated = b->Extreme() ? 0x7fffffff : random.Int(0, 3);
  if (random.Int(0, 1)) {
    inputs.push_back(b->Ints({1, 0, accumulated, 0, 7}));
    if (labelled && random.Int(0, 1)) inputs.push_back(b->ConstantShares(n));
  }
  return b->Finish(inputs, {b->Floats({1}), b->Floats({n})});
}

Call DrawSoftmaxCrossEntropy(Builder* b) { return DrawLoss(b, true); }
Call DrawTargetLoss(Builder* b) { return DrawLoss(b, false); }

// Control.

// The layout, and what it asks for.
struct LayoutPlan {
  std::vector<int32_t> words;
  int fixed_elements = 0;
  int selection_words = kStateWords;
  int pool_elements = 0;
  int candidates = 0;
  int layers = 0;
};

void AddRow(Random* random, bool drawn, int copies, LayoutPlan* plan) {
  int32_t row[kLayoutWords] = {};
  const int channels = random->Int(1, 6);
  const int capacity = channels;
  row[kLayoutWordChannels] = channels;
  row[kLayoutWordChannelCost] = random->Int(1, 8);
  row[kLayoutWordWeights] = random->Int(1, 6);
  row[kLayoutWordStash] = random->Int(1, 5);
  row[kLayoutWordSelectionOffset] = plan->selection_words;
  row[kLayoutWordSelectionCapacity] = capacity;
  plan->selection_words += kSelectionHeaderWords + (capacity + 1) / 2;
  const int run = channels * (row[kLayoutWordWeights] * copies + row[kLayoutWordStash]);
  plan->pool_elements += run;
  row[kLayoutWordRunOffset] = drawn ? kDrawnAnew : plan->fixed_elements;
  plan->fixed_elements += drawn ? 0 : run;
  if (random->Int(0, 1)) {
    row[kLayoutWordBiases] = random->Int(1, 4);
    row[kLayoutWordBiasOffset] = plan->fixed_elements;
    plan->fixed_elements += row[kLayoutWordBiases] * copies;
    plan->pool_elements += row[kLayoutWordBiases] * copies;
  } else {
    row[kLayoutWordBiasOffset] = kNoBiasRun;
  }
  plan->candidates += drawn ? channels : 0;
  plan->layers += drawn ? 1 : 0;
  plan->words.insert(plan->words.end(), row, row + kLayoutWords);
}

ControlOptions DrawControlOptions(Random* random) {
  ControlOptions options = {};
  options.version = kOptionsVersion;
  options.seed_low = static_cast<uint32_t>(random->Int(0, 0x7ffffffe));
  options.first_draw = random->Int(0, 5);
  options.capacity = static_cast<uint32_t>(random->Int(0, 60));
  options.weighting = random->Int(0, kWeightings - 1);
  options.sharpness = random->Int(0, kSharpnesses - 1);
  options.importance_rule = random->Int(0, kImportanceRuleDrawMean);
  options.core_q16 = static_cast<uint32_t>(random->Int(0, 65536));
  options.classes = random->Int(0, 1) * 3;
  options.accumulates = random->Int(0, 1);
  options.has_velocity = random->Int(0, 1);
  options.clip_norm = options.accumulates && random->Int(0, 1) ? 0.75f : 0.0f;
  return options;
}

// A command that fits the options, of a selection that is all zeros.
int DrawCommand(Random* random, const ControlOptions& options) {
  const int commands[] = {kCommandPredict, kCommandDraw, kCommandDiscard,
                          options.accumulates ? kCommandAccumulate : kCommandStep};
  const int command = commands[random->Int(0, 3)];
  return command == kCommandStep && options.clip_norm != 0.0f ? kCommandPredict : command;
}

Call DrawControl(Builder* b, bool wild) {
  Random& random = b->random();
  ControlOptions options = DrawControlOptions(&random);
  LayoutPlan plan;
  const int copies = 1 + options.accumulates + options.has_velocity;
  const int drawn = random.Int(0, 3);
  for (int i = 0; i < drawn; ++i) AddRow(&random, true, copies, &plan);
  for (int i = random.Int(drawn ? 0 : 1, 2); i > 0; --i) AddRow(&random, false, copies, &plan);
  options.fixed_elements = plan.fixed_elements;
  if (random.Int(0, 1)) b->Perturb(&options);
  b->SetOptions(options);
  const int command = b->Ints({DrawCommand(&random, options)});
  int importance = tflm::kOptionalTensor, prior = tflm::kOptionalTensor;
  if (plan.candidates > 0) {
    importance = b->Floats({plan.candidates});
    std::vector<float> values(plan.candidates, 1.0f);
    if (random.Int(0, 1)) values[random.Int(0, plan.candidates - 1)] = kUnseen;
    if (random.Int(0, 2)) prior = b->ConstantFloats(values);
  }
  std::vector<int> weights;
  for (size_t at = 0; at < plan.words.size(); at += kLayoutWords) {
    const int32_t* row = &plan.words[at];
    const int biases = row[kLayoutWordBiases];
    weights.push_back(b->Constants({row[kLayoutWordChannels] * row[kLayoutWordWeights]}));
    weights.push_back(biases > 0 ? b->Constants({biases}) : tflm::kOptionalTensor);
  }
  if (wild && random.Int(0, 1)) {
    for (int n = random.Int(1, 2); n > 0; --n) {
      int32_t* word = &plan.words[random.Int(0, static_cast<int>(plan.words.size()) - 1)];
      *word = static_cast<int32_t>(OddWord(&random, static_cast<uint32_t>(*word)));
    }
  }
  const int c = plan.candidates;
  const int scratch = std::max(1, 6 * c + 8 * plan.layers + (c + 7) / 8);
  const int sample = b->Floats({random.Int(1, 12)});
  const int label = options.classes ? b->Ints({random.Int(0, 2)}) : b->Floats({3});
  const int rate = b->Rate();
  const int pool = b->Floats({std::max(plan.pool_elements, 1)});
  const int selection = b->Ints(std::vector<int32_t>(plan.selection_words));
  const int layout = b->ConstantInts(plan.words);
  std::vector<int> inputs = {sample,    label,  rate,       command, pool,
                             selection, layout, importance, prior};
  inputs.insert(inputs.end(), weights.begin(), weights.end());
  return b->Finish(inputs, {b->Bytes(scratch)});
}

using Draw = Call (*)(Builder*);

const std::map<std::string, Draw>& Draws() {
  static const std::map<std::string, Draw> draws = {
      {kConv2dName, DrawConvolution<Role::kForward, false>},
      {kConv2dInputGradientName, DrawConvolution<Role::kInputGradient, false>},
      {kConv2dUpdateName, DrawConvolution<Role::kUpdate, false>},
      {kConvDepthwiseName, DrawConvDepthwise},
      {kDepthwiseConv2dName, DrawConvolution<Role::kForward, true>},
      {kDepthwiseConv2dInputGradientName, DrawConvolution<Role::kInputGradient, true>},
      {kDepthwiseConv2dUpdateName, DrawConvolution<Role::kUpdate, true>},
      {kDenseName, DrawDense<Role::kForward>},
      {kDenseInputGradientName, DrawDense<Role::kInputGradient>},
      {kDenseUpdateName, DrawDense<Role::kUpdate>},
      {kInt8WeightsConv2dName, DrawConvolution<Role::kInt8Forward, false>},
      {kInt8WeightsConv2dInputGradientName, DrawConvolution<Role::kInt8InputGradient, false>},
      {kInt8WeightsDepthwiseConv2dName, DrawConvolution<Role::kInt8Forward, true>},
      {kInt8WeightsDepthwiseConv2dInputGradientName,
       DrawConvolution<Role::kInt8InputGradient, true>},
      {kInt8WeightsDenseName, DrawDense<Role::kInt8Forward>},
      {kInt8WeightsDenseInputGradientName, DrawDense<Role::kInt8InputGradient>},
      {kStashName, DrawStash},
      {kActivationName, DrawActivation},
      {kGateGradientName, DrawGateGradient},
      {kMaxPool2dName, DrawMaxPool},
      {kAveragePool2dName, DrawAveragePool},
      {kAveragePool2dGradientName, DrawAveragePoolGradient},
      {kAddName, DrawAdd},
      {kClippedReluName, DrawClippedRelu<false>},
      {kClippedReluGradientName, DrawClippedRelu<true>},
      {kEluName, DrawElu<false>},
      {kEluGradientName, DrawElu<true>},
      {kSoftmaxName, DrawSoftmax<false>},
      {kSoftmaxGradientName, DrawSoftmax<true>},
      {kBroadcastAddName, DrawBinary},
      {kBroadcastAddGradientName, DrawSumGradient},
      {kSubtractName, DrawBinary},
      {kSubtractGradientName, DrawSumGradient},
      {kMultiplyName, DrawBinary},
      {kMultiplyGradientName, DrawBinaryGradient},
      {kMaximumName, DrawBinary},
      {kMaximumGradientName, DrawBinaryGradient},
      {kMinimumName, DrawBinary},
      {kMinimumGradientName, DrawBinaryGradient},
      {kPReluName, DrawBinary},
      {kPReluGradientName, DrawBinaryGradient},
      {kQuantizeName, DrawQuantize},
      {kDequantizeName, DrawDequantize},
      {kInt8Conv2dName, DrawInt8Conv},
      {kInt8DepthwiseConv2dName, DrawInt8Depthwise},
      {kInt8ConvDepthwiseName, DrawInt8ConvDepthwise},
      {kInt8AddName, DrawInt8Add},
      {kInt8AveragePool2dName, DrawInt8Pool},
      {kInt8MaxPool2dName, DrawInt8Pool},
      {kConcatenationName, DrawConcatenation},
      {kConcatenationGradientName, DrawConcatenationGradient},
      {kPadName, DrawPad},
      {kPadGradientName, DrawPadGradient},
      {kConv2dTransposeName, DrawConv2dTranspose},
      {kConv2dTransposeInputGradientName, DrawConv2dTransposeGradient},
      {kNormalizeName, DrawNormalize},
      {kNormalizeGradientName, DrawNormalizeGradient},
      {kStridedCopyName, DrawStridedCopy},
      {kStridedCopyGradientName, DrawStridedCopyGradient},
      {kSoftmaxCrossEntropyName, DrawSoftmaxCrossEntropy},
      {kSigmoidCrossEntropyName, DrawTargetLoss},
      {kMeanSquaredErrorName, DrawTargetLoss},
      {kMeanAbsoluteErrorName, DrawTargetLoss},
      {kHuberName, DrawTargetLoss},
  };
  return draws;
}

uint32_t BitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

}  // namespace

uint32_t OddWord(Random* random, uint32_t word) {
  static const uint32_t kEdges[] = {
      0u,          1u,          2u,          3u,          127u,        128u,        255u,
      256u,        4096u,       32768u,      46341u,      65535u,      65536u,      65537u,
      0x1000000u,  0x1000001u,  0x20000000u, 0x3fffffffu, 0x40000000u, 0x7ffffffeu, 0x7fffffffu,
      0x80000000u, 0x80000001u, 0xfffffffeu, 0xffffffffu, 0x7f800000u, 0xff800000u, 0x7fc00000u};
  switch (random->Int(0, 4)) {
    case 0:
      return static_cast<uint32_t>(random->Int(-2, 12));
    case 1:
      return word + static_cast<uint32_t>(random->Int(-2, 2));
    case 2:
      return kEdges[random->Int(0, sizeof(kEdges) / sizeof(kEdges[0]) - 1)];
    case 3:
      return BitsOf(random->Float() * 1e30f);
    default:
      return static_cast<uint32_t>(random->Int(0, 65535)) << 16 |
             static_cast<uint32_t>(random->Int(0, 65535));
  }
}

Call DrawCall(const std::string& op, Random* random, bool wild) {
  Builder builder(op, random, wild);
  if (op == kControlName) return DrawControl(&builder, wild);
  if (op == kMaxPool2dGradientName) return DrawMaxPoolGradient(&builder, wild);
  const auto found = Draws().find(op);
  if (found != Draws().end()) return found->second(&builder);
  // All others are unary ops and their gradients: a right call of them fails if one is not.
  const bool is_gradient = op.find("_GRADIENT") != std::string::npos;
  return DrawElements(&builder, is_gradient ? 2 : 1, is_gradient);
}

}  // namespace fake
}  // namespace medyate
