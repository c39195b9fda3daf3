// Activations, functions of one tensor or two, and their gradients. Those without options of their
// own need no line here: kernel_calls.cc takes an op that nobody knows for one of them.

#include "tests/tflm_ops/kernels/call_builder.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {
namespace fake {
namespace {

GateOptions DrawGateOptions(Builder* b) {
  Random& random = b->random();
  auto options = Blank<GateOptions>();
  options.activation = random.Int(kActivationRelu, kActivationLeakyRelu);
  options.negative_slope = options.activation == kActivationLeakyRelu ? 0.25f : 0.0f;
  options.keeps_gates = 1;
  return options;
}

Call DrawActivation(Builder* b) {
  GateOptions options = DrawGateOptions(b);
  options.keeps_gates = b->random().Int(0, 1);
  b->SetOptions(&options);
  const int n = b->random().Int(1, 40);
  std::vector<int> outputs = {b->Floats({n})};
  if (options.keeps_gates != 0) outputs.push_back(b->Bytes((n + 7) / 8));
  return b->Finish({b->Floats({n})}, outputs);
}

Call DrawGateGradient(Builder* b) {
  GateOptions options = DrawGateOptions(b);
  b->SetOptions(&options);
  const int n = b->random().Int(1, 40);
  return b->Finish({b->Bytes((n + 7) / 8), b->Floats({n}), b->Command()}, {b->Floats({n})});
}

// Functions of one tensor that have parameters, and their gradients.
template <typename Options>
Call DrawUnary(Builder* b, Options options, int n, bool gradient) {
  b->SetOptions(&options);
  std::vector<int> inputs = {b->Floats({n})};
  if (gradient) {
    inputs.push_back(b->Floats({n}));
    inputs.push_back(b->Command());
  }
  return b->Finish(inputs, {b->Floats({n})});
}

template <bool kGradient>
Call DrawClippedRelu(Builder* b) {
  auto options = Blank<ReluOptions>();
  options.max_value = 0.5f;
  options.threshold = 0.125f;
  options.negative_slope = b->random().Float();
  return DrawUnary(b, options, b->random().Int(1, 40), kGradient);
}

template <bool kGradient>
Call DrawElu(Builder* b) {
  auto options = Blank<EluOptions>();
  options.alpha = 0.75f;
  options.scale = 1.25f;
  return DrawUnary(b, options, b->random().Int(1, 40), kGradient);
}

template <bool kGradient>
Call DrawSoftmax(Builder* b) {
  auto options = Blank<SoftmaxOptions>();
  options.size = b->random().Int(1, 5);
  options.inner = b->random().Int(1, 4);
  const int n = options.size * options.inner * b->random().Int(1, 3);
  return DrawUnary(b, options, n, kGradient);
}

// The gradient of a sum needs neither operand.
template <bool kGradient, bool kNeeds>
Call DrawBroadcast(Builder* b) {
  auto options = Blank<BroadcastOptions>();
  for (int i = 0; i < 3; ++i) {
    options.size[i] = b->random().Int(1, 4);
    options.a_size[i] = b->random().Int(0, 2) == 0 ? 1 : options.size[i];
    options.b_size[i] = b->random().Int(0, 2) == 0 ? 1 : options.size[i];
  }
  options.operand = kGradient ? b->random().Int(0, 1) : 0;
  b->SetOptions(&options);
  const int y = Product({options.size[0], options.size[1], options.size[2]});
  const int a_size = Product({options.a_size[0], options.a_size[1], options.a_size[2]});
  const int b_size = Product({options.b_size[0], options.b_size[1], options.b_size[2]});
  if (!kGradient) return b->Finish({b->Floats({a_size}), b->Floats({b_size})}, {b->Floats({y})});
  std::vector<int> inputs = {b->Floats({y}), b->Command()};
  inputs.push_back(kNeeds ? b->Floats({a_size}) : tflm::kOptionalTensor);
  inputs.push_back(kNeeds ? b->Floats({b_size}) : tflm::kOptionalTensor);
  return b->Finish(inputs, {b->Floats({options.operand == 1 ? b_size : a_size})});
}

Call DrawAdd(Builder* b) { return DrawElements(b, 2, b->random().Int(0, 1) == 1); }

}  // namespace

Call DrawElements(Builder* b, int floats, bool command) {
  ElementsOptions options = {kOptionsVersion};
  b->SetOptions(&options);
  const int n = b->random().Int(1, 40);
  std::vector<int> inputs;
  for (int i = 0; i < floats; ++i) inputs.push_back(b->Floats({n}));
  if (command) inputs.push_back(b->Command());
  return b->Finish(inputs, {b->Floats({n})});
}

const Draws& ElementwiseCalls() {
  static const Draws draws = {
      {kActivationName, DrawActivation},
      {kGateGradientName, DrawGateGradient},
      {kAddName, DrawAdd},
      {kClippedReluName, DrawClippedRelu<false>},
      {kClippedReluGradientName, DrawClippedRelu<true>},
      {kEluName, DrawElu<false>},
      {kEluGradientName, DrawElu<true>},
      {kSoftmaxName, DrawSoftmax<false>},
      {kSoftmaxGradientName, DrawSoftmax<true>},
      {kBroadcastAddName, DrawBroadcast<false, true>},
      {kBroadcastAddGradientName, DrawBroadcast<true, false>},
      {kSubtractName, DrawBroadcast<false, true>},
      {kSubtractGradientName, DrawBroadcast<true, false>},
      {kMultiplyName, DrawBroadcast<false, true>},
      {kMultiplyGradientName, DrawBroadcast<true, true>},
      {kMaximumName, DrawBroadcast<false, true>},
      {kMaximumGradientName, DrawBroadcast<true, true>},
      {kMinimumName, DrawBroadcast<false, true>},
      {kMinimumGradientName, DrawBroadcast<true, true>},
      {kPReluName, DrawBroadcast<false, true>},
      {kPReluGradientName, DrawBroadcast<true, true>},
  };
  return draws;
}

}  // namespace fake
}  // namespace medyate
