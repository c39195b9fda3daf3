#include "tflm_ops/trainer/step_trainer.h"

#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {
namespace {

TrainerStatus StatusOf(RunnerStatus status) {
  switch (status) {
    case RunnerStatus::kOk:
      return TrainerStatus::kOk;
    case RunnerStatus::kNotInitialized:
      return TrainerStatus::kNotInitialized;
    case RunnerStatus::kNoArena:
      return TrainerStatus::kNoArena;
    case RunnerStatus::kArenaNotAligned:
      return TrainerStatus::kArenaNotAligned;
    case RunnerStatus::kArenaTooSmall:
      return TrainerStatus::kArenaTooSmall;
    case RunnerStatus::kBadModel:
    case RunnerStatus::kPrepareFailed:
      return TrainerStatus::kBadModel;
    case RunnerStatus::kInvokeFailed:
      return TrainerStatus::kOpFailed;
  }
  return TrainerStatus::kOpFailed;
}

}  // namespace

TrainerStatus StepTrainer::Init(const StaticModel& model, void* arena, size_t arena_bytes,
                                CommitSink* sink) {
  model_ = nullptr;
  sink_ = sink;
  schedule_ = model.schedule;
  samples_ = updates_ = epochs_ = pending_ = 0;
  is_sound_ = true;
  const RunnerStatus status =
      runner_.Init(model, arena, arena_bytes, sink ? sink->weights() : nullptr);
  if (status != RunnerStatus::kOk) return StatusOf(status);
  model_ = &model;
  // The control op's first run copies the prior and draws.
  const TrainerStatus drawn = RunControl(kCommandDiscard);
  if (drawn == TrainerStatus::kOk) return drawn;
  model_ = nullptr;
  return TrainerStatus::kBadModel;
}

TrainerStatus StepTrainer::Resume(const Progress& progress, const float* importance,
                                  uint32_t importance_floats) {
  if (!model_) return TrainerStatus::kNotInitialized;
  const int floats = runner_.Elements(model_->importance);
  if (progress.draw < 0 || importance_floats != static_cast<uint32_t>(floats)) {
    return TrainerStatus::kBadProgress;
  }
  if (floats > 0 && !importance) return TrainerStatus::kNullArgument;
  for (int i = 0; i < floats; ++i) {
    const bool is_norm = math::IsFinite(importance[i]) && importance[i] >= 0.0f;
    if (!is_norm && importance[i] != kUnseen) return TrainerStatus::kBadProgress;
  }
  if (floats > 0 && importance != Floats(model_->importance)) {
    memcpy(Floats(model_->importance), importance, sizeof(float) * floats);
  }
  samples_ = progress.samples;
  updates_ = progress.updates;
  epochs_ = progress.epochs;
  pending_ = 0;
  if (progress.draw == draw()) return TrainerStatus::kOk;  // Init's own draw, from the prior.
  int32_t* selection = static_cast<int32_t*>(runner_.Data(model_->selection));
  selection[kStateWordDraw] = progress.draw - 1;
  return RunControl(kCommandDraw);
}

TrainerStatus StepTrainer::Step(const SampleRef& sample, int label, float* loss) {
  const TrainerStatus status = Set(sample, label);
  return status == TrainerStatus::kOk ? Learn(loss) : status;
}

TrainerStatus StepTrainer::Step(const SampleRef& sample, const float* target, float* loss) {
  const TrainerStatus status = Set(sample, target);
  return status == TrainerStatus::kOk ? Learn(loss) : status;
}

// Sets a sample and its label, once both are checked.
TrainerStatus StepTrainer::Set(const SampleRef& sample, int label) {
  TrainerStatus status = CheckLabel(label);
  if (status == TrainerStatus::kOk) status = SetSample(sample);
  if (status == TrainerStatus::kOk) *static_cast<int32_t*>(runner_.Data(model_->label)) = label;
  return status;
}

TrainerStatus StepTrainer::Set(const SampleRef& sample, const float* target) {
  TrainerStatus status = CheckTarget(target);
  if (status == TrainerStatus::kOk) status = SetSample(sample);
  if (status != TrainerStatus::kOk) return status;
  memcpy(Floats(model_->label), target, sizeof(float) * runner_.Elements(model_->label));
  return status;
}

void StepTrainer::ReportLabel(int most, int label) {
  runner_.Report("label: expected 0 to %d, received %d", most, label);
}

TrainerStatus StepTrainer::CheckLabel(int label) {
  if (!model_) return TrainerStatus::kNotInitialized;
  if (model_->classes == 0) return TrainerStatus::kLabelOfOtherKind;
  if (label >= 0 && label < model_->classes) return TrainerStatus::kOk;
  ReportLabel(model_->classes - 1, label);
  return TrainerStatus::kLabelOutOfRange;
}

TrainerStatus StepTrainer::CheckTarget(const float* target) const {
  if (!model_) return TrainerStatus::kNotInitialized;
  if (model_->classes != 0) return TrainerStatus::kLabelOfOtherKind;
  if (!target) return TrainerStatus::kNullArgument;
  const int n = runner_.Elements(model_->label);
  if (!math::AreFinite(target, n)) return TrainerStatus::kTargetNotFinite;
  for (int i = 0; model_->targets_are_shares && i < n; ++i) {
    if (target[i] < 0.0f || target[i] > 1.0f) return TrainerStatus::kTargetOutOfRange;
  }
  return TrainerStatus::kOk;
}

TrainerStatus StepTrainer::CheckSample(const SampleRef& sample) {
  if (!model_) return TrainerStatus::kNotInitialized;
  if (!sample.data()) return TrainerStatus::kNullArgument;
  if (sample.kind() == SampleRef::Kind::kFloats) {
    if (math::AreFinite(sample.floats(), runner_.Elements(model_->sample))) {
      return TrainerStatus::kOk;
    }
    runner_.Report("sample: expected finite numbers, received NaN or infinity");
    return TrainerStatus::kSampleNotFinite;
  }
  const bool is_stored = sample.kind() == SampleRef::Kind::kStored;
  if (TakesInt8(*model_) && (is_stored || HoldsBytes(model_->sample_type))) {
    return TrainerStatus::kOk;
  }
  runner_.Report(is_stored ? "sample: expected floats, received int8"
                           : "sample: expected a model in 8 bits of numbers from 0 to 255, as one "
                             "that begins with Rescaling; received bytes");
  return TrainerStatus::kSampleOfOtherKind;
}

TrainerStatus StepTrainer::SetSample(const SampleRef& sample) {
  const TrainerStatus status = CheckSample(sample);
  if (status == TrainerStatus::kOk) Put(sample);
  return status;
}

const void* StepTrainer::Put(const SampleRef& sample) {
  void* const place = sample_place();
  const int n = runner_.Elements(model_->sample);
  if (sample.data() == place) return place;
  if (!TakesInt8(*model_) || sample.kind() == SampleRef::Kind::kStored) {
    memcpy(place, sample.data(), sample_bytes());
  } else if (sample.kind() == SampleRef::Kind::kBytes) {
    StoreSample(model_->sample_type, sample.bytes(), n, static_cast<int8_t*>(place));
  } else {
    StoreSample(model_->sample_type, sample.floats(), n, static_cast<int8_t*>(place));
  }
  return place;
}

uint32_t StepTrainer::sample_bytes() const {
  if (!model_) return 0;
  const uint32_t numbers = static_cast<uint32_t>(runner_.Elements(model_->sample));
  return numbers * static_cast<uint32_t>(TakesInt8(*model_) ? sizeof(int8_t) : sizeof(float));
}

SampleRef StepTrainer::Kept(const void* sample) const {
  if (model_ && TakesInt8(*model_)) return static_cast<const int8_t*>(sample);
  return static_cast<const float*>(sample);
}

// Learns from the sample and the label that are set.
TrainerStatus StepTrainer::Learn(float* loss) {
  const bool full = pending_ + 1 >= model_->batch_size;
  const bool steps = full && !model_->clips_norm;
  const TrainerStatus status = Run(steps ? kCommandStep : kCommandAccumulate, model_->node_count);
  if (loss && (status == TrainerStatus::kOk || status == TrainerStatus::kLossNotFinite)) {
    *loss = *Floats(model_->loss);
  }
  if (status != TrainerStatus::kOk) return status;
  ++pending_;
  if (steps) {
    pending_ = 0;
    ++updates_;
  } else if (full) {
    const TrainerStatus applied = Apply();
    if (applied != TrainerStatus::kOk) return applied;
  }
  ++samples_;
  return TrainerStatus::kOk;
}

// Runs the first `nodes` ops under a command. Sample and label are set, or not looked at.
TrainerStatus StepTrainer::Run(int command, int nodes) {
  // A batch that comes up short counts as a full one.
  const uint32_t ahead = command == kCommandApply ? model_->batch_size - 1 - pending_ : 0;
  const float rate = LearningRate(schedule_, schedule_step() + ahead);
  *Floats(model_->learning_rate) = rate;
  *static_cast<int32_t*>(runner_.Data(model_->command)) = command;
  const RunnerStatus status = runner_.InvokeFirst(nodes);
  if (status != RunnerStatus::kInvokeFailed) return StatusOf(status);
  const int failed = runner_.failed_node();
  const int* outputs = model_->nodes[failed].outputs;
  const bool at_loss = outputs[0] > 0 && outputs[1] == model_->loss;
  if (at_loss && !math::IsFinite(*Floats(model_->loss))) {
    const TrainerStatus status = TrainerStatus::kLossNotFinite;
    return command == kCommandEvaluate ? status : Unsound(status);
  }
  // With a good rate and something accumulated, the control op refuses APPLY for this reason alone.
  const bool applies = command == kCommandApply && rate >= 0.0f && math::IsFinite(rate);
  if (applies && failed == 0 && pending_ > 0 && model_->clips_norm) {
    return Unsound(TrainerStatus::kGradientsNotFinite);
  }
  return TrainerStatus::kOpFailed;
}

// Whatever does not concern a sample is done by the control op alone: the others would have nothing
// to do, but compute the forward pass first.
TrainerStatus StepTrainer::RunControl(int command) { return Run(command, 1); }

// For a command without a sample: nothing in it is slow or infinite then.
void StepTrainer::ClearSample() { memset(sample_place(), 0, sample_bytes()); }

TrainerStatus StepTrainer::Apply() {
  ClearSample();
  const TrainerStatus status = Run(kCommandApply, model_->node_count);
  if (status != TrainerStatus::kOk) return status;
  pending_ = 0;
  ++updates_;
  return status;
}

TrainerStatus StepTrainer::Unsound(TrainerStatus status) {
  is_sound_ = false;
  return status;
}

TrainerStatus StepTrainer::Flush() {
  if (!model_) return TrainerStatus::kNotInitialized;
  if (pending_ == 0 || (!is_sound_ && guard_)) return TrainerStatus::kOk;
  return Apply();
}

TrainerStatus StepTrainer::EndEpoch() {
  const TrainerStatus applied = Flush();
  if (applied != TrainerStatus::kOk && (is_sound_ || !guard_)) return applied;
  const Progress next = NextEpoch();
  const TrainerStatus status = CommitOrDiscard(next);
  if (status != TrainerStatus::kOk && status != TrainerStatus::kEpochDiscarded) return status;
  const TrainerStatus begun = BeginEpoch(next);
  return begun == TrainerStatus::kOk ? status : begun;
}

TrainerStatus StepTrainer::DropEpoch() {
  const TrainerStatus dropped = Discard();
  if (dropped != TrainerStatus::kOk) return dropped;
  const TrainerStatus begun = BeginEpoch(NextEpoch());
  return begun == TrainerStatus::kOk ? TrainerStatus::kEpochDiscarded : begun;
}

// Progress once this epoch is over.
Progress StepTrainer::NextEpoch() const {
  const uint32_t epochs = epochs_ + 1;
  return {samples_, updates_, epochs, draw() + (DrawsAfter(epochs) ? 1 : 0)};
}

TrainerStatus StepTrainer::BeginEpoch(const Progress& next) {
  epochs_ = next.epochs;
  return next.draw == draw() ? TrainerStatus::kOk : RunControl(kCommandDraw);
}

TrainerStatus StepTrainer::CommitOrDiscard(const Progress& next) {
  if (is_sound_ || !guard_) {
    const TrainerStatus status = CommitAs(next);
    if (status == TrainerStatus::kOk || is_sound_ || !guard_) return status;
  }
  const TrainerStatus status = Discard();
  return status == TrainerStatus::kOk ? TrainerStatus::kEpochDiscarded : status;
}

bool StepTrainer::DrawsAfter(uint32_t epochs) const {
  return model_->resample_every > 0 && epochs % model_->resample_every == 0;
}

// Computes the logits; learns nothing.
TrainerStatus StepTrainer::Forward(const SampleRef& sample) {
  const TrainerStatus status = SetSample(sample);
  return status == TrainerStatus::kOk ? Run(kCommandPredict, model_->node_count) : status;
}

TrainerStatus StepTrainer::Loss(const SampleRef& sample, int label, float* loss) {
  const TrainerStatus status = Set(sample, label);
  return status == TrainerStatus::kOk ? Evaluate(loss) : status;
}

TrainerStatus StepTrainer::Loss(const SampleRef& sample, const float* target, float* loss) {
  const TrainerStatus status = Set(sample, target);
  return status == TrainerStatus::kOk ? Evaluate(loss) : status;
}

// The loss of the sample and the label that are set.
TrainerStatus StepTrainer::Evaluate(float* loss) {
  if (!loss) return TrainerStatus::kNullArgument;
  const TrainerStatus status = Run(kCommandEvaluate, model_->node_count);
  if (status == TrainerStatus::kOk || status == TrainerStatus::kLossNotFinite) {
    *loss = *Floats(model_->loss);
  }
  return status;
}

TrainerStatus StepTrainer::Predict(const SampleRef& sample, float* scores) {
  if (!model_) return TrainerStatus::kNotInitialized;
  if (!scores) return TrainerStatus::kNullArgument;
  const TrainerStatus status = Forward(sample);
  if (status != TrainerStatus::kOk) return status;
  const float* logits = Floats(model_->logits);
  const int elements = runner_.Elements(model_->logits);
  if (model_->scores_of) {
    model_->scores_of(logits, elements, scores);
  } else {
    memcpy(scores, logits, sizeof(float) * elements);
  }
  return TrainerStatus::kOk;
}

TrainerStatus StepTrainer::Commit() {
  if (!model_) return TrainerStatus::kNotInitialized;
  return CommitAs({samples_, updates_, epochs_, draw()});
}

// Commits; `next` is what a restart goes on with.
TrainerStatus StepTrainer::CommitAs(const Progress& next) {
  if (!sink_) return TrainerStatus::kNothingToCommitTo;
  // The control op looks at the slots before anybody follows them: memory may have been damaged.
  ClearSample();
  const TrainerStatus intact = RunControl(kCommandPredict);
  if (intact != TrainerStatus::kOk) return intact;
  const int32_t* selection = static_cast<const int32_t*>(runner_.Data(model_->selection));
  const SelectionRuns runs(model_->layers, model_->layer_count, selection);
  const CommitRequest request = {&runs,
                                 Floats(model_->pool),
                                 static_cast<uint32_t>(runner_.Elements(model_->pool)),
                                 next,
                                 Floats(model_->importance),
                                 static_cast<uint32_t>(runner_.Elements(model_->importance))};
  switch (sink_->Commit(request)) {
    case CommitResult::kOk:
      break;
    case CommitResult::kNotFinite:
      return Unsound(TrainerStatus::kCommitFailed);
    case CommitResult::kFailed:
      return TrainerStatus::kCommitFailed;
  }
  is_sound_ = true;
  return TrainerStatus::kOk;
}

TrainerStatus StepTrainer::Discard() {
  if (!model_) return TrainerStatus::kNotInitialized;
  pending_ = 0;
  is_sound_ = true;
  return RunControl(kCommandDiscard);
}

void StepTrainer::ReloadBias(uint32_t bias) {
  const float* weights = sink_ ? sink_->weights() : nullptr;
  if (!model_ || model_->layer_count == 0 || !weights) return;
  const TrainedLayer& layer = model_->layers[model_->layer_count - 1];
  if (bias >= layer.biases) return;
  Floats(model_->pool)[layer.bias_pool_offset + bias] = weights[layer.bias_weights_offset + bias];
}

int StepTrainer::draw() const {
  const int32_t* selection =
      static_cast<const int32_t*>(runner_.Data(model_ ? model_->selection : -1));
  return selection ? static_cast<int>(selection[kStateWordDraw]) : -1;
}

}  // namespace medyate
