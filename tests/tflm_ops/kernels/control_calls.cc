// The two ends of a training step: losses, and the op that draws channels.

#include <algorithm>

#include "tests/tflm_ops/kernels/call_builder.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {
namespace fake {
namespace {

// What a label is of.
enum class Labels { kClass, kTargets, kShares };

template <Labels kLabels>
Call DrawLoss(Builder* b) {
  Random& random = b->random();
  LossOptions options = {kOptionsVersion, 0.5f, 0.1f, 0.3f};
  b->SetOptions(&options);
  const int n = random.Int(0, 3) ? random.Int(1, 20) : 1;
  constexpr bool kIsClass = kLabels == Labels::kClass;
  // A single share is of two classes.
  const int classes = kIsClass ? n : kLabels == Labels::kShares && n == 1 ? 2 : 0;
  std::vector<int> inputs = {
      b->Floats({n}), kIsClass ? b->Ints({random.Int(0, n - 1)}) : b->Shares(n), b->Command()};
  const int accumulated = b->Extreme() ? 0x7fffffff : random.Int(0, 3);
  if (random.Int(0, 1)) {
    inputs.push_back(b->Ints({1, 0, accumulated, 0, 7}));
    if (classes > 0 && random.Int(0, 1)) inputs.push_back(b->ConstantShares(classes));
  }
  return b->Finish(inputs, {b->Floats({1}), b->Floats({n})});
}

// Of one to three outputs.
Call DrawSumOfLosses(Builder* b) {
  Random& random = b->random();
  ElementsOptions options = {kOptionsVersion};
  b->SetOptions(&options);
  std::vector<float> table, target;
  for (int parts = random.Int(1, 3); parts > 0; --parts) {
    const int kind = random.Int(0, kLossKinds - 1);
    const int n = random.Int(1, 6);
    const float row[] = {static_cast<float>(kind), static_cast<float>(n), 0.5f, 0.1f, 0.3f};
    table.insert(table.end(), row, row + kLossWords);
    const int hot = random.Int(0, n - 1);
    for (int i = 0; i < n; ++i) target.push_back(i == hot ? 1.0f : 0.0f);
  }
  if (b->wild() && random.Int(0, 1)) {
    table[random.Int(0, static_cast<int>(table.size()) - 1)] = random.Int(0, 1) ? -1.0f : 7.5f;
  }
  const int n = static_cast<int>(target.size());
  const int outputs = b->Floats({n});
  const int labels = b->FloatsOf(target);
  const int command = b->Command();
  const int selection = b->Ints({1, 0, b->Extreme() ? 0x7fffffff : random.Int(0, 3), 0, 7});
  const std::vector<int> inputs = {outputs, labels, command, selection, b->ConstantFloats(table)};
  return b->Finish(inputs, {b->Floats({1}), b->Floats({n})});
}

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
  auto options = Blank<ControlOptions>();
  options.seed_low = static_cast<uint32_t>(random->Int(0, 0x7ffffffe));
  options.first_draw = random->Int(0, 5);
  options.capacity = static_cast<uint32_t>(random->Int(0, 60));
  options.weighting = random->Int(0, kWeightings - 1);
  options.sharpness = random->Int(0, kSharpnesses - 1);
  options.importance_rule = random->Int(0, kImportanceRuleDrawMean);
  options.core_q16 = static_cast<uint32_t>(random->Int(0, 65536));
  options.classes = random->Int(0, 1) * 3;
  options.accumulates = random->Int(0, 1);
  options.optimizer_slots = random->Int(0, 2);
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

Call DrawControl(Builder* b) {
  Random& random = b->random();
  ControlOptions options = DrawControlOptions(&random);
  LayoutPlan plan;
  const int copies = 1 + options.accumulates + options.optimizer_slots;
  const int drawn = random.Int(0, 3);
  for (int i = 0; i < drawn; ++i) AddRow(&random, true, copies, &plan);
  for (int i = random.Int(drawn ? 0 : 1, 2); i > 0; --i) AddRow(&random, false, copies, &plan);
  options.fixed_elements = plan.fixed_elements;
  b->SetOptions(&options, random.Int(0, 1) == 1);
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
  if (b->wild() && random.Int(0, 1)) {
    for (int n = random.Int(1, 2); n > 0; --n) {
      int32_t* word = &plan.words[random.Int(0, static_cast<int>(plan.words.size()) - 1)];
      *word = static_cast<int32_t>(OddWord(&random, static_cast<uint32_t>(*word)));
    }
  }
  const int c = plan.candidates;
  const int scratch = std::max(1, 6 * c + 8 * plan.layers + (c + 7) / 8);
  const int elements = random.Int(1, 12);
  const int sample = random.Int(0, 3) ? b->Floats({elements}) : b->Int8s({elements});
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

}  // namespace

const Draws& ControlCalls() {
  static const Draws draws = {
      {kSoftmaxCrossEntropyName, DrawLoss<Labels::kClass>},
      {kSigmoidCrossEntropyName, DrawLoss<Labels::kShares>},
      {kMeanSquaredErrorName, DrawLoss<Labels::kTargets>},
      {kMeanAbsoluteErrorName, DrawLoss<Labels::kTargets>},
      {kHuberName, DrawLoss<Labels::kTargets>},
      {kSumOfLossesName, DrawSumOfLosses},
      {kControlName, DrawControl},
  };
  return draws;
}

}  // namespace fake
}  // namespace medyate
