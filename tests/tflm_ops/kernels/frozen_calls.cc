// Ops of layers that are never trained: two convolutions in one, int8 values.

#include <algorithm>

#include "tests/tflm_ops/kernels/call_builder.h"
#include "tests/tflm_ops/kernels/convolution_axes.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {
namespace fake {
namespace {

// Two convolutions in a row, as options of the op that does both.
template <typename Options>
Options DrawTwoConvolutions(Random* random, int most_channels) {
  auto options = Blank<Options>();
  options.input_channels = random->Int(1, most_channels);
  options.middle_channels = random->Int(1, most_channels);
  options.output_channels = options.middle_channels * random->Int(1, 2);
  Conv2dOptions conv = {}, depthwise = {};
  for (int i = 0; i < 2; ++i) {
    DrawConvolutionAxis(random, i, &conv);
    DrawConvolutionAxis(random, i, &depthwise);
    depthwise.input_size[i] = conv.output_size[i];
    depthwise.output_size[i] = random->Int(
        1, (depthwise.input_size[i] - 1 + depthwise.padding[i]) / depthwise.stride[i] + 1);
  }
  for (int i = 0; i < 2; ++i) {
    options.input_size[i] = conv.input_size[i];
    options.middle_size[i] = conv.output_size[i];
    options.output_size[i] = depthwise.output_size[i];
    options.conv_kernel_size[i] = conv.kernel_size[i];
    options.conv_stride[i] = conv.stride[i];
    options.conv_dilation[i] = conv.dilation[i];
    options.conv_padding[i] = conv.padding[i];
    options.depthwise_kernel_size[i] = depthwise.kernel_size[i];
    options.depthwise_stride[i] = depthwise.stride[i];
    options.depthwise_dilation[i] = depthwise.dilation[i];
    options.depthwise_padding[i] = depthwise.padding[i];
  }
  return options;
}

// Rows between the two that one output row can need.
template <typename Options>
int MiddleRows(const Options& options) {
  const int kernel = options.depthwise_kernel_size[0];
  const int extent = Clamp((int64_t{kernel} - 1) * options.depthwise_dilation[0] + 1, 0, 4096);
  return std::min(extent, Clamp(options.middle_size[0], 0, 4096));
}

template <typename Options>
int64_t MiddleBytes(const Options& options) {
  return Product({MiddleRows(options), options.middle_size[1], options.middle_channels});
}

Call DrawConvDepthwise(Builder* b) {
  Random& random = b->random();
  auto options = DrawTwoConvolutions<ConvDepthwiseOptions>(&random, 5);
  options.conv_activation = random.Int(kActivationNone, kActivationRelu6);
  options.depthwise_activation = random.Int(kActivationNone, kActivationRelu6);
  b->SetOptions(&options);
  const int* kernel = options.depthwise_kernel_size;
  const int rows = MiddleRows(options);
  const int middle = options.middle_channels;
  const int fan_out =
      Clamp(int64_t{options.output_channels} / (middle == 0 ? 1 : middle), -1, kMaxChannels);
  const int x = b->Floats({MapElements(options.input_size, options.input_channels)});
  const int conv_weights = b->Constants(
      {options.input_channels, options.conv_kernel_size[0], options.conv_kernel_size[1], middle});
  const int depthwise_weights = b->Constants({middle, kernel[0], kernel[1], fan_out});
  const int conv_bias = random.Int(0, 1) ? b->Constants({middle}) : tflm::kOptionalTensor;
  const int depthwise_bias =
      random.Int(0, 1) ? b->Constants({options.output_channels}) : tflm::kOptionalTensor;
  const int y = b->Floats({MapElements(options.output_size, options.output_channels)});
  return b->Finish({x, conv_weights, conv_bias, depthwise_weights, depthwise_bias},
                   {y, b->Floats({Product({rows, options.middle_size[1], middle})})});
}

// Scratch of an int8 convolution.
int Patches(Builder* b, const int* kernel, int channels) {
  const int64_t depth = Product({kernel[0], kernel[1], channels});
  return b->Bytes(Clamp((depth + 3) / 4 * 20, 0, kMostElements));
}

template <bool kDepthwise>
Call DrawInt8Convolution(Builder* b) {
  Random& random = b->random();
  auto options = Blank<Int8Conv2dOptions>();
  for (int i = 0; i < 2; ++i) DrawConvolutionAxis(&random, i, &options);
  options.input_channels = random.Int(1, 9);
  options.output_channels =
      kDepthwise ? options.input_channels * random.Int(1, 2) : random.Int(1, 9);
  options.input_zero = random.Int(-128, 127);
  options.output_zero = random.Int(-128, 127);
  b->SetOptions(&options);
  const int* kernel = options.kernel_size;
  const int x = b->Int8s({1, MapElements(options.input_size, options.input_channels)});
  const int first = kDepthwise ? 1 : options.output_channels;
  const int last = kDepthwise ? options.output_channels : options.input_channels;
  const int weights = b->ConstantInt8s({first, kernel[0], kernel[1], last});
  const int table = b->Requantization(options.output_channels);
  const int y = b->Int8s({MapElements(options.output_size, options.output_channels)});
  std::vector<int> outputs = {y};
  if (!kDepthwise) {
    outputs.push_back(Patches(b, kernel, options.input_channels));
  }
  return b->Finish({x, weights, table}, outputs);
}

// Options and inputs of both ops that have two halves.
template <typename Options>
Options DrawHalves(Builder* b) {
  Random& random = b->random();
  auto options = DrawTwoConvolutions<Options>(&random, 9);
  options.input_zero = random.Int(-128, 127);
  options.middle_zero = random.Int(-128, 127);
  options.output_zero = random.Int(-128, 127);
  return options;
}

template <typename Options>
std::vector<int> AddHalves(Builder* b, const Options& options) {
  const int* conv = options.conv_kernel_size;
  const int* depthwise = options.depthwise_kernel_size;
  const int middle = options.middle_channels, outputs = options.output_channels;
  const int x = b->Int8s({MapElements(options.input_size, options.input_channels)});
  const int conv_weights = b->ConstantInt8s({middle, conv[0], conv[1], options.input_channels});
  const int conv_table = b->Requantization(middle);
  const int weights = b->ConstantInt8s({1, depthwise[0], depthwise[1], outputs});
  const int table = b->Requantization(outputs);
  return {x, conv_weights, conv_table, weights, table};
}

Call DrawInt8ConvDepthwise(Builder* b) {
  auto options = DrawHalves<Int8ConvDepthwiseOptions>(b);
  b->SetOptions(&options);
  const std::vector<int> inputs = AddHalves(b, options);
  const int y = b->Int8s({MapElements(options.output_size, options.output_channels)});
  const int rows = b->Bytes(MiddleBytes(options));
  return b->Finish(inputs, {y, rows, Patches(b, options.conv_kernel_size, options.input_channels)});
}

Call DrawInt8Bottleneck(Builder* b) {
  auto options = DrawHalves<Int8BottleneckOptions>(b);
  options.project_channels = b->random().Int(1, 9);
  options.project_zero = b->random().Int(-128, 127);
  b->SetOptions(&options);
  std::vector<int> inputs = AddHalves(b, options);
  const int middle = options.output_channels, outputs = options.project_channels;
  inputs.push_back(b->ConstantInt8s({outputs, 1, 1, middle}));
  inputs.push_back(b->Requantization(outputs));
  const int y = b->Int8s({MapElements(options.output_size, outputs)});
  const int64_t row = Product({options.output_size[1], middle});
  const int rows = b->Bytes(MiddleBytes(options) + row);
  const int* kernel = options.conv_kernel_size;
  const int point[] = {1, 1};
  const int64_t depth = Product({kernel[0], kernel[1], options.input_channels});
  const bool is_project = middle > depth;
  const int patches =
      is_project ? Patches(b, point, middle) : Patches(b, kernel, options.input_channels);
  return b->Finish(inputs, {y, rows, patches});
}

Call DrawInt8Add(Builder* b) {
  Random& random = b->random();
  auto options = Blank<Int8AddOptions>();
  for (int i = 0; i < 3; ++i) {
    options.zero[i] = random.Int(-128, 127);
    options.multiplier[i] = (1 << 30) + random.Int(0, 1 << 29);
    options.shift[i] = random.Int(0, 31);
  }
  b->SetOptions(&options);
  const int n = random.Int(1, 40);
  const int first = b->Int8s({n}), second = b->Int8s({n});
  return b->Finish({first, second}, {b->Int8s({n})});
}

template <bool kToInt8>
Call DrawQuantization(Builder* b) {
  Random& random = b->random();
  auto options = Blank<QuantizationOptions>();
  options.scale = 0.001f + static_cast<float>(random.Int(0, 1000)) * 0.001f;
  options.zero = random.Int(-128, 127);
  b->SetOptions(&options);
  const int n = random.Int(1, 40);
  const int x = kToInt8 ? b->Floats({n}) : b->Int8s({n});
  return b->Finish({x}, {kToInt8 ? b->Int8s({n}) : b->Floats({n})});
}

}  // namespace

const Draws& FrozenCalls() {
  static const Draws draws = {
      {kConvDepthwiseName, DrawConvDepthwise},
      {kQuantizeName, DrawQuantization<true>},
      {kDequantizeName, DrawQuantization<false>},
      {kInt8Conv2dName, DrawInt8Convolution<false>},
      {kInt8DepthwiseConv2dName, DrawInt8Convolution<true>},
      {kInt8ConvDepthwiseName, DrawInt8ConvDepthwise},
      {kInt8BottleneckName, DrawInt8Bottleneck},
      {kInt8AddName, DrawInt8Add},
  };
  return draws;
}

}  // namespace fake
}  // namespace medyate
