// Ops on whole maps: pools, of floats and of int8 values, concatenation, padding, normalization,
// strided copies; and their gradients.

#include <algorithm>

#include "tests/tflm_ops/kernels/call_builder.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {
namespace fake {
namespace {

struct PoolPlan {
  PoolOptions options;
  int inputs;
  int outputs;
  int choice_bytes;
};

PoolPlan DrawPool(Builder* b, int keeps_choices) {
  Random& random = b->random();
  auto options = Blank<PoolOptions>();
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
  b->SetOptions(&options);
  PoolPlan plan;
  plan.options = options;
  plan.inputs = MapElements(options.input_size, options.channels);
  plan.outputs = MapElements(options.output_size, options.channels);
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

Call DrawMaxPoolGradient(Builder* b) {
  const PoolPlan plan = DrawPool(b, 1);
  const int choices = b->Bytes(plan.choice_bytes);
  if (!b->wild()) {
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
  b->SetOptions(&options);
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
  b->SetOptions(&options);
  return b->Finish({b->Floats({Product({options.blocks, options.total})}), b->Command()},
                   {b->Floats({Product({options.blocks, options.block})})});
}

struct PadPlan {
  int inner;
  int padded;
};

PadPlan DrawPadding(Builder* b) {
  Random& random = b->random();
  auto options = Blank<PadOptions>();
  options.channels = random.Int(1, 5);
  for (int i = 0; i < 2; ++i) {
    options.input_size[i] = random.Int(1, 6);
    options.before[i] = random.Int(0, 3);
    options.after[i] = random.Int(0, 3);
  }
  b->SetOptions(&options);
  int64_t sides[2];
  for (int i = 0; i < 2; ++i) {
    sides[i] = int64_t{options.before[i]} + options.input_size[i] + options.after[i];
  }
  return {MapElements(options.input_size, options.channels),
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

template <bool kGradient>
Call DrawNormalization(Builder* b) {
  Random& random = b->random();
  NormalizeOptions options = {kOptionsVersion,
                              random.Int(1, 4),
                              random.Int(1, 4),
                              random.Int(1, 3),
                              random.Int(1, 5),
                              random.Int(0, 1),
                              0.01f};
  b->SetOptions(&options);
  const int n = Product({options.rows, options.positions, options.groups, options.width});
  const int channels = Product({options.groups, options.width});
  const int x = b->Floats({n});
  const int gamma = random.Int(0, 1) ? b->Constants({channels}) : tflm::kOptionalTensor;
  if (kGradient) return b->Finish({x, gamma, b->Floats({n}), b->Command()}, {b->Floats({n})});
  const int beta = random.Int(0, 1) ? b->Constants({channels}) : tflm::kOptionalTensor;
  return b->Finish({x, gamma, beta}, {b->Floats({n})});
}

StridedCopyOptions DrawCopy(Builder* b) {
  Random& random = b->random();
  auto options = Blank<StridedCopyOptions>();
  options.offset = random.Int(0, 3);
  options.input_elements = options.offset + 1 + random.Int(0, 2);
  for (int i = 0; i < 5; ++i) {
    options.sides[i] = random.Int(1, 3);
    options.strides[i] = random.Int(0, 6);
    options.input_elements += (options.sides[i] - 1) * options.strides[i];
  }
  b->SetOptions(&options);
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

}  // namespace

const Draws& MapCalls() {
  static const Draws draws = {
      {kMaxPool2dName, DrawMaxPool},
      {kMaxPool2dGradientName, DrawMaxPoolGradient},
      {kAveragePool2dName, DrawAveragePool},
      {kAveragePool2dGradientName, DrawAveragePoolGradient},
      {kInt8AveragePool2dName, DrawInt8Pool},
      {kInt8MaxPool2dName, DrawInt8Pool},
      {kConcatenationName, DrawConcatenation},
      {kConcatenationGradientName, DrawConcatenationGradient},
      {kPadName, DrawPad},
      {kPadGradientName, DrawPadGradient},
      {kNormalizeName, DrawNormalization<false>},
      {kNormalizeGradientName, DrawNormalization<true>},
      {kStridedCopyName, DrawStridedCopy},
      {kStridedCopyGradientName, DrawStridedCopyGradient},
  };
  return draws;
}

}  // namespace fake
}  // namespace medyate
