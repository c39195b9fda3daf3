#ifndef TFLM_OPS_TRAINER_STEP_TRAINER_H_
#define TFLM_OPS_TRAINER_STEP_TRAINER_H_

// Training on the device, sample by sample, without TFLM. Does what tf_medyate/simulate/trainer.py
// does in TFLM's interpreter, with the same bits:
//
//   alignas(16) static uint8_t arena[medyate_model::kArenaBytes];
//   static medyate::StepTrainer trainer;
//   TrainerStatus status = trainer.Init(medyate_model::kModel, arena, sizeof(arena), &sink);
//   status = trainer.Step(sample, label, &loss);     // for each sample
//   status = trainer.EndEpoch();
//   status = trainer.Predict(sample, scores);
//
// No heap, no exceptions, no libm. Not thread-safe. Needs FPSCR.FZ = 0, which is its reset value.

#include <stddef.h>
#include <stdint.h>

#include "tflm_ops/draw/schedule.h"
#include "tflm_ops/store/weight_runs.h"
#include "tflm_ops/trainer/static_model.h"
#include "tflm_ops/trainer/static_runner.h"

namespace medyate {

enum class TrainerStatus : uint8_t {
  kOk,
  kNotInitialized,  // Init was not called, or failed.
  // Init:
  kNoArena,
  kArenaNotAligned,  // To kArenaAlignment.
  kArenaTooSmall,    // StaticRunner::ArenaBytes(model) is needed; the report says it, too.
  kBadModel,         // The model contradicts itself; the report says where.
  // What was passed; nothing has changed:
  kNullArgument,       // A pointer that must not be null is.
  kSampleNotFinite,    // NaN or infinity in the sample.
  kSampleOfOtherKind,  // int8 for a model of floats, or bytes for one of scaled numbers.
  kLabelOutOfRange,    // Labels are 0 to classes - 1.
  kTargetNotFinite,    // NaN or infinity in the target.
  kTargetOutOfRange,   // A number beyond 0 .. 1, for a loss of shares.
  kLabelOfOtherKind,   // A class for a model that learns targets, or a target for one of classes.
  kNothingToCommitTo,  // Init was given no sink. What was learned stays in the pool.
  kBadProgress,        // Resume: a draw below 0, or importance that is none of this model.
  // Training went wrong; the weights in the pool are those from before:
  kLossNotFinite,
  kGradientsNotFinite,  // Those of the batch, which cannot be clipped: Discard.
  kCommitFailed,        // The sink did not take the weights, which stay in the pool; see there.
  kOpFailed,            // An op reported an error: memory is damaged.
  // The guard's:
  kEpochDiscarded,  // The epoch is over, but what it learned was dropped.
  // Of Trainer alone:
  kStoreFailed,    // The weight store cannot be used; Trainer::store_status() says why.
  kBadName,        // A class's name is empty, longer than 60 bytes, or not UTF-8.
  kNameTaken,      // Another class has that name.
  kNoSpareClass,   // All classes have names: export the model with spare ones.
  kNoFactoryCopy,  // Reset needs a copy of the factory weights: export the model with one.
  kNoHeldSamples,  // The guard was given no memory to hold samples.
};

// The status in words, as in "kLossNotFinite".
const char* TrainerStatusName(TrainerStatus status);

enum class CommitResult : uint8_t {
  kOk,
  kNotFinite,  // A weight would become infinite or not a number; nothing was changed.
  kFailed,     // Nothing was changed, or the sink knows what was.
};

// How far training has come: what a device must remember beside its weights.
struct Progress {
  uint32_t samples;  // Learned from so far.
  uint32_t updates;  // Done so far.
  uint32_t epochs;   // Ended so far.
  int32_t draw;      // Number of the draw in force.
};

// What is to be committed, all of it or nothing.
struct CommitRequest {
  const RunList* runs;  // Offsets are in floats, those of weights from the region's start.
  const float* pool;    // [pool_floats], of the weights that are to be.
  uint32_t pool_floats;
  // What StepTrainer::Resume takes to go on after this commit.
  Progress progress;
  const float* importance;  // [importance_floats]; null if no draw goes by it.
  uint32_t importance_floats;
};

// What a commit goes to: sets the weights to the runs of the pool. A list and not a stream of runs,
// since a sink in flash goes through it several times: to check, to see which pages change, and
// once a page.
class CommitSink {
 public:
  virtual CommitResult Commit(const CommitRequest& request) {
    (void)request;
    return CommitResult::kFailed;
  }

  // The weights that it changes, [model.weights_floats]; null for those inside the model.
  virtual const float* weights() const { return nullptr; }

 protected:
  ~CommitSink() = default;
};

// Weights in RAM: for hosts, and for boards that forget what they learned.
class RamSink final : public CommitSink {
 public:
  // Copies the model's weights.
  //
  // Args:
  //   weights: [floats]; if that is not as many as the model has, every commit fails.
  RamSink(const StaticModel& model, float* weights, uint32_t floats);

  CommitResult Commit(const CommitRequest& request) override;
  const float* weights() const override { return weights_; }

 private:
  float* weights_;  // Null if the sizes differ.
  uint32_t floats_;
};

class StepTrainer {
 public:
  StepTrainer() = default;
  StepTrainer(const StepTrainer&) = delete;
  StepTrainer& operator=(const StepTrainer&) = delete;

  // Where messages go, without a newline; may be called before Init.
  void SetReport(ReportFunction report, void* user) { runner_.SetReport(report, user); }

  // Sets everything up and draws for the first time. May be called again: that starts over from
  // the weights as they are.
  //
  // Args:
  //   model: must outlive the trainer.
  //   arena: likewise, `arena_bytes` bytes, aligned to kArenaAlignment.
  //   sink: likewise; null if nothing shall be committed.
  TrainerStatus Init(const StaticModel& model, void* arena, size_t arena_bytes, CommitSink* sink);

  // Goes on where a commit left off; to be called after Init, with the weights of that commit.
  // Channels are drawn as they would have been; velocities start at 0.
  //
  // Args:
  //   importance: [importance_floats], as the commit had it.
  TrainerStatus Resume(const Progress& progress, const float* importance,
                       uint32_t importance_floats);

  // Learns from one sample. With a batch size above 1 the gradient is accumulated, and applied when
  // the batch is full.
  //
  // Args:
  //   sample: [input elements]; may be sample(). A model that takes int8 makes that of floats and
  //     of bytes.
  //   label: the class.
  //   loss: the sample's loss before the update; may be null. Written for kOk and kLossNotFinite.
  TrainerStatus Step(const SampleRef& sample, int label, float* loss);

  // The same for a model that learns targets.
  //
  // Args:
  //   target: [output elements].
  TrainerStatus Step(const SampleRef& sample, const float* target, float* loss);

  // Applies a batch that came up short, commits, and draws new channels if it is time to. If that
  // fails the epoch is not over: EndEpoch may be called again, or training may go on.
  TrainerStatus EndEpoch();

  // Applies a batch that came up short, as EndEpoch does at its beginning.
  TrainerStatus Flush();

  // EndEpoch for an epoch that did harm: drops what was learned since the last commit.
  //
  // Returns:
  //   kEpochDiscarded if all went well.
  TrainerStatus DropEpoch();

  // A sample's loss, which nothing is learned from; the bits are those of Step.
  //
  // Args:
  //   loss: written for kOk and kLossNotFinite, which leaves is_sound() as it is.
  TrainerStatus Loss(const SampleRef& sample, int label, float* loss);
  TrainerStatus Loss(const SampleRef& sample, const float* target, float* loss);

  // Whether Step would take the sample: kNullArgument, kSampleNotFinite, kSampleOfOtherKind.
  TrainerStatus CheckSample(const SampleRef& sample);
  // Likewise: kNullArgument, kTargetNotFinite, kTargetOutOfRange, kLabelOfOtherKind.
  TrainerStatus CheckTarget(const float* target) const;

  // The model's output.
  //
  // Args:
  //   sample: [input elements]; may be sample().
  //   scores: [output elements]: probabilities if the model ends in a softmax or a sigmoid that its
  //     loss takes the place of.
  TrainerStatus Predict(const SampleRef& sample, float* scores);

  // Writes the trained weights to the sink; changes no bit of any output.
  TrainerStatus Commit();

  // Drops what was learned since the last commit: the weights are what they were.
  TrainerStatus Discard();

  // Takes one bias of the last trained layer from the sink again, which has changed it.
  //
  // Args:
  //   bias: below its number of trained biases.
  void ReloadBias(uint32_t bias);

  // Whether EndEpoch drops an epoch in which a loss or a gradient was not finite, or that would
  // make a weight so. On unless turned off.
  void SetGuard(bool on) { guard_ = on; }

  // Another learning rate than the model's, over schedule_step(). To be set after Init.
  void SetSchedule(const CosineSchedule& schedule) { schedule_ = schedule; }

  // Where a sample may be put to save its own memory; only until the next call of any method that
  // takes a sample. Null before Init, and if the model takes int8.
  float* sample() const { return model_ && !TakesInt8(*model_) ? Floats(model_->sample) : nullptr; }

  // The same place whatever the model takes: floats, or int8 as SampleType says.
  void* sample_place() const { return model_ ? runner_.Data(model_->sample) : nullptr; }
  uint32_t sample_bytes() const;

  // Puts a sample that CheckSample takes there.
  const void* Put(const SampleRef& sample);

  // A copy of what lay there.
  SampleRef Kept(const void* sample) const;

  // What a schedule goes by: samples learned from, where a batch that came up short counts as a
  // full one.
  uint32_t schedule_step() const { return model_ ? updates_ * model_->batch_size + pending_ : 0; }

  uint32_t samples() const { return samples_; }
  uint32_t updates() const { return updates_; }
  uint32_t epochs() const { return epochs_; }
  int draw() const;  // -1 before Init.

  // What the next draw goes by, [importance_floats()]; null if draws go by nothing.
  float* importance() const { return Floats(model_ ? model_->importance : -1); }
  uint32_t importance_floats() const {
    return model_ ? static_cast<uint32_t>(runner_.Elements(model_->importance)) : 0;
  }

  // Whether every loss and gradient since the last Commit or Discard was finite.
  bool is_sound() const { return is_sound_; }

  // The tensors, for a deeper look: numbers are in the model.
  const StaticRunner& runner() const { return runner_; }

  // Reports a message of the caller's own.
  void Report(const char* text) { runner_.Report("%s", text); }
  void ReportLabel(int most, int label);

 private:
  float* Floats(int tensor) const { return static_cast<float*>(runner_.Data(tensor)); }
  TrainerStatus CheckLabel(int label);
  TrainerStatus Set(const SampleRef& sample, int label);
  TrainerStatus Set(const SampleRef& sample, const float* target);
  TrainerStatus SetSample(const SampleRef& sample);
  void ClearSample();
  TrainerStatus Forward(const SampleRef& sample);
  TrainerStatus Learn(float* loss);
  TrainerStatus Evaluate(float* loss);
  TrainerStatus Run(int command, int nodes);
  TrainerStatus RunControl(int command);
  TrainerStatus Apply();
  TrainerStatus Unsound(TrainerStatus status);
  TrainerStatus CommitAs(const Progress& next);
  TrainerStatus CommitOrDiscard(const Progress& next);
  Progress NextEpoch() const;
  TrainerStatus BeginEpoch(const Progress& next);
  bool DrawsAfter(uint32_t epochs) const;

  StaticRunner runner_;
  const StaticModel* model_ = nullptr;  // Null until Init has succeeded.
  CommitSink* sink_ = nullptr;
  CosineSchedule schedule_ = {};
  uint32_t samples_ = 0;
  uint32_t updates_ = 0;
  uint32_t epochs_ = 0;
  uint32_t pending_ = 0;  // Samples in the accumulators.
  bool guard_ = true;
  bool is_sound_ = true;
};

}  // namespace medyate

#endif  // TFLM_OPS_TRAINER_STEP_TRAINER_H_
