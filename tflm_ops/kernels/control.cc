// MEDYATE_CONTROL: the first op. Checks the inputs, and does what concerns the state as a whole.

#include <string.h>

#include "tflm_ops/draw/training_state.h"
#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/math/sgd.h"

namespace medyate {
namespace {

// After these come weights and bias of each row of the layout.
enum Input {
  kSample,
  kLabel,
  kLearningRate,
  kCommand,
  kPool,
  kSelection,
  kLayout,
  kImportance,
  kPrior,
  kFirstWeights
};

TrainingState ReadState(const OpCall& call, const ControlOptions& options) {
  TrainingState state;
  state.layout = call.InputData<const int32_t>(kLayout);
  state.rows = Elements(*call.Input(kLayout)) / kLayoutWords;
  state.copies = 1 + options.accumulates + options.optimizer_slots;
  state.accumulates = options.accumulates != 0;
  state.fixed_elements = options.fixed_elements;
  state.pool = call.InputData<float>(kPool);
  state.pool_elements = Elements(*call.Input(kPool));
  state.selection = call.InputData<int32_t>(kSelection);
  state.selection_words = Elements(*call.Input(kSelection));
  state.importance = call.InputData<float>(kImportance);
  return state;
}

bool RequireOptions(const OpCall& call, const ControlOptions& options) {
  return call.RequireRange("first_draw", options.first_draw, 0, 0x7ffffffe) &&
         call.RequireRange("weighting", options.weighting, 0, kWeightings - 1) &&
         call.RequireRange("sharpness", options.sharpness, 0, kSharpnesses - 1) &&
         call.RequireRange("importance_rule", options.importance_rule, 0,
                           kImportanceRuleDrawMean) &&
         call.RequireRange("core_q16", options.core_q16, 0, 65536) &&
         call.RequireRange("classes", options.classes, 0, kMaxChannels) &&
         call.RequireRange("accumulates", options.accumulates, 0, 1) &&
         call.RequireRange("optimizer_slots", options.optimizer_slots, 0, 2) &&
         call.RequireThat(math::IsFinite(options.clip_norm) && options.clip_norm >= 0.0f,
                          "a finite clip_norm of at least 0") &&
         call.RequireThat(options.clip_norm == 0.0f || options.accumulates,
                          "accumulators for a clip_norm");
}

// A sample in 8 bits holds nothing that could be refused.
bool IsInt8(const tflm::EvalTensor* sample) { return sample && sample->type == tflm::kInt8; }

bool RequireInputs(const OpCall& call, const ControlOptions& options) {
  const int one[] = {1};
  return call.RequireRange("inputs", call.inputs(), kFirstWeights, 0x7fffffff) &&
         call.Require(call.outputs() == 1, "outputs", 1, call.outputs()) &&
         call.RequireAtLeast(call.Input(kSample), "sample",
                             IsInt8(call.Input(kSample)) ? tflm::kInt8 : tflm::kFloat32, 1) &&
         (options.classes > 0
              ? call.RequireShape(call.Input(kLabel), "label", tflm::kInt32, one)
              : call.RequireAtLeast(call.Input(kLabel), "label", tflm::kFloat32, 1)) &&
         call.RequireShape(call.Input(kLearningRate), "learning_rate", tflm::kFloat32, one) &&
         RequireCommand(call, kCommand) &&
         call.RequireAtLeast(call.Input(kPool), "pool", tflm::kFloat32, 1) &&
         call.RequireAtLeast(call.Input(kSelection), "selection", tflm::kInt32, kStateWords) &&
         call.RequireRange("fixed_elements", options.fixed_elements, 0,
                           Elements(*call.Input(kPool))) &&
         call.RequireAtLeast(call.Input(kLayout), "layout", tflm::kInt32, kLayoutWords) &&
         call.RequireThat(call.Input(kLayout)->data != nullptr, "the layout to be a constant") &&
         call.RequireThat(call.Input(kLayout) != call.Input(kSelection),
                          "a layout beside the selection");
}

// Importance, which the draw needs unless it is uniform, and what it begins with, if anything.
bool RequireImportance(const OpCall& call, const ControlOptions& options, int candidates) {
  if (!call.Input(kImportance)) {
    const bool unused =
        candidates == 0 || options.weighting == static_cast<int>(Weighting::kUniform);
    return call.RequireThat(unused, "an importance to draw by");
  }
  const int channels[] = {candidates};
  return call.RequireShape(call.Input(kImportance), "importance", tflm::kFloat32, channels) &&
         (!call.Input(kPrior) ||
          call.RequireShape(call.Input(kPrior), "prior", tflm::kFloat32, channels));
}

bool RequireLayout(const OpCall& call, const TrainingState& state) {
  const LayoutFault fault = CheckLayout(state);
  if (fault.row < 0) return true;
  return call.RequireThat(false, "a layout whose slots and runs fit") &&
         call.Require(false, "layout", 0, fault.row);
}

const float* WeightsOf(const OpCall& call, int row) {
  return call.InputData<const float>(kFirstWeights + 2 * row);
}
const float* BiasesOf(const OpCall& call, int row) {
  return call.InputData<const float>(kFirstWeights + 2 * row + 1);
}

// Weights and, where it is trained, bias of each row of a sound layout.
bool RequireWeights(const OpCall& call, const TrainingState& state) {
  const int64_t inputs = kFirstWeights + int64_t{2} * state.rows;
  if (!call.RequireRange("inputs", call.inputs(), inputs, inputs)) return false;
  const int32_t* row = state.layout;
  for (int i = 0; i < state.rows; ++i, row += kLayoutWords) {
    const int64_t weights = int64_t{row[kLayoutWordChannels]} * row[kLayoutWordWeights];
    const int biases = row[kLayoutWordBiases];
    const tflm::EvalTensor* bias = call.Input(kFirstWeights + 2 * i + 1);
    if (!call.RequireRange("weights of a layer", weights, 1, 0x7fffffff) ||
        !call.RequireElements(call.Input(kFirstWeights + 2 * i), "weights", tflm::kFloat32,
                              static_cast<int>(weights)) ||
        (biases > 0 && !call.RequireElements(bias, "bias", tflm::kFloat32, biases))) {
      return false;
    }
  }
  return true;
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kControlName, context, node);
  ControlOptions options;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(RequireOptions(call, options));
  MEDYATE_CHECK(RequireInputs(call, options));
  const TrainingState state = ReadState(call, options);
  MEDYATE_CHECK(RequireLayout(call, state));
  const int candidates = CandidateChannels(state);
  MEDYATE_CHECK(call.RequireRange("channels that can be drawn", candidates, 0, kMaxChannels));
  MEDYATE_CHECK(RequireWeights(call, state));
  MEDYATE_CHECK(RequireImportance(call, options, candidates));
  MEDYATE_CHECK(call.RequireAtLeast(call.Output(0), "scratch", tflm::kUInt8,
                                    static_cast<int>(DrawScratchBytes(state))));
  return tflm::kOk;
}

// What the host sent; nothing has been written yet.
bool CheckInputs(const OpCall& call, const ControlOptions& options, const TrainingState& state) {
  const int command = *call.InputData<const int32_t>(kCommand);
  if (!call.RequireRange("command", command, kCommandPredict, kCommandEvaluate)) return false;
  const float rate = *call.InputData<const float>(kLearningRate);
  if (IsUpdating(call, kCommand) && !call.RequireThat(math::IsFinite(rate) && rate >= 0.0f,
                                                      "a finite learning rate of at least 0")) {
    return false;
  }
  if ((command == kCommandAccumulate || command == kCommandApply) &&
      !call.RequireThat(state.accumulates, "accumulators for this command")) {
    return false;
  }
  if (command == kCommandApply &&
      !call.RequireThat(state.selection[kStateWordAccumulated] > 0, "something accumulated")) {
    return false;
  }
  if (command == kCommandStep &&
      !call.RequireThat(options.clip_norm == 0.0f, "ACCUMULATE and APPLY with a clip_norm")) {
    return false;
  }
  const bool reads_sample = command == kCommandPredict || ReadsLabel(call, kCommand);
  if (reads_sample && !IsInt8(call.Input(kSample))) {
    const float* sample = call.InputData<const float>(kSample);
    if (!call.RequireThat(math::AreFinite(sample, Elements(*call.Input(kSample))),
                          "a finite sample")) {
      return false;
    }
  }
  if (!ReadsLabel(call, kCommand)) return true;
  if (options.classes > 0) {
    return call.RequireRange("label", *call.InputData<const int32_t>(kLabel), 0,
                             options.classes - 1);
  }
  return call.RequireThat(
      math::AreFinite(call.InputData<const float>(kLabel), Elements(*call.Input(kLabel))),
      "a finite target");
}

// Loads everything that is trained into the pool, from where the last commit left it.
bool LoadWeights(const OpCall& call, const TrainingState& state) {
  bool is_sound = true;
  for (int row = 0; row < state.rows && is_sound; ++row) {
    is_sound = LoadRow(state, row, WeightsOf(call, row), BiasesOf(call, row));
  }
  return call.RequireThat(is_sound, "drawn channels that the layer has");
}

bool DrawChannels(const OpCall& call, const ControlOptions& options, const TrainingState& state,
                  int draw) {
  DrawRule rule;
  rule.seed = uint64_t{options.seed_high} << 32 | options.seed_low;
  rule.capacity = options.capacity;
  rule.weighting = static_cast<Weighting>(options.weighting);
  rule.sharpness = static_cast<Sharpness>(options.sharpness);
  rule.core_q16 = options.core_q16;
  rule.importance_rule = static_cast<ImportanceRule>(options.importance_rule);
  const DrawResult result =
      Draw(state, rule, static_cast<uint32_t>(draw), call.OutputData<uint8_t>(0));
  if (!call.RequireThat(result != DrawResult::kBadImportance,
                        "importance that is finite and at least 0; the old draw stays") ||
      !call.RequireThat(result == DrawResult::kOk, "a draw that fits the pool") ||
      !LoadWeights(call, state)) {
    return false;
  }
  state.selection[kStateWordDraw] = draw;
  state.selection[kStateWordAccumulated] = 0;
  return true;
}

// Copies the prior, if there is one, and draws for the first time.
bool Initialize(const OpCall& call, const ControlOptions& options, const TrainingState& state) {
  if (state.selection[kStateWordInitialized] != 0) return true;
  if (state.importance) {
    const float* prior = call.Input(kPrior) ? call.InputData<const float>(kPrior) : nullptr;
    const int candidates = Elements(*call.Input(kImportance));
    for (int c = 0; c < candidates; ++c) state.importance[c] = prior ? prior[c] : kUnseen;
  }
  if (!DrawChannels(call, options, state, options.first_draw)) return false;
  state.selection[kStateWordInitialized] = 1;
  return true;
}

// Sets what the accumulated gradients are multiplied by: their mean, clipped.
bool PrepareApply(const OpCall& call, const ControlOptions& options, const TrainingState& state) {
  int32_t* words = state.selection;
  float scale = 1.0f / static_cast<float>(words[kStateWordAccumulated]);
  if (options.clip_norm > 0.0f) {
    const float squares = AccumulatedSquares(state) * scale * scale;
    if (!call.RequireThat(math::IsFinite(squares), "finite gradients; nothing was updated")) {
      return false;
    }
    scale *= math::ClipScale(squares, options.clip_norm);
  }
  memcpy(&words[kStateWordGradientScale], &scale, sizeof(scale));
  words[kStateWordAccumulated] = 0;
  return true;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kControlName, context, node);
  ControlOptions options;
  MEDYATE_CHECK(call.Read(&options));
  const TrainingState state = ReadState(call, options);
  MEDYATE_CHECK(CheckInputs(call, options, state));
  MEDYATE_CHECK(Initialize(call, options, state));
  MEDYATE_CHECK(call.RequireThat(CheckSlots(state), "slots that lie within the pool"));
  switch (*call.InputData<const int32_t>(kCommand)) {
    case kCommandApply:
      MEDYATE_CHECK(PrepareApply(call, options, state));
      break;
    case kCommandDraw: {
      const int draw = state.selection[kStateWordDraw];
      MEDYATE_CHECK(call.RequireRange("draw", draw, 0, 0x7ffffffe));
      MEDYATE_CHECK(DrawChannels(call, options, state, draw + 1));
      break;
    }
    case kCommandDiscard:
      ClearRuns(state);
      MEDYATE_CHECK(LoadWeights(call, state));
      state.selection[kStateWordAccumulated] = 0;
      break;
    default:
      break;
  }
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterControl() { return MakeRegistration(kControlName, Prepare, Eval); }

}  // namespace medyate
