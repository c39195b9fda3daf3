#ifndef TFLM_OPS_TRAINER_TRAINER_H_
#define TFLM_OPS_TRAINER_TRAINER_H_

// A model that learns on a device and remembers: training steps (step_trainer.h), weights in flash
// that survive a power cut (weight_store.h), a guard against epochs that do harm, new classes.
//
//   alignas(16) static uint8_t arena[medyate_model::kArenaBytes];
//   static medyate::Trainer trainer(medyate_model::kModel, arena, sizeof(arena), place);
//
//   TrainerStatus status = trainer.Begin();       // once, at the start
//   status = trainer.Step(sample, label, &loss);  // for each sample
//   status = trainer.EndEpoch();                  // keeps what was learned, draws new channels
//   status = trainer.Predict(sample, scores);
//
// No heap, no exceptions, no libm. Not thread-safe. Needs FPSCR.FZ = 0, which is its reset value.

#include <stddef.h>
#include <stdint.h>

#include "tflm_ops/trainer/flash_sink.h"
#include "tflm_ops/trainer/step_trainer.h"
#include "tflm_ops/trainer/validation.h"

namespace medyate {

// Bytes of a class name, the zero byte at its end included.
constexpr uint32_t kClassNameBytes = 61;

// Names of enrolled classes in flash: records "class/3", "class/4" and so on.
constexpr char kClassRecords[] = "class/";

// How epochs are judged.
struct Guard {
  uint32_t* memory;  // [words], for samples that are held back; may be null.
  uint32_t words;
  // One sample of Step in this many is held back, not learned from; 0: only those of Hold.
  uint32_t hold_every;
  // An epoch is dropped if the mean loss of the held samples has risen by more than this share.
  float slack;
};

class Trainer {
 public:
  // Args:
  //   model: must outlive the trainer.
  //   arena: likewise, `arena_bytes` bytes, aligned to kArenaAlignment.
  //   place: where weights and journal lie.
  Trainer(const StaticModel& model, void* arena, size_t arena_bytes, const FlashPlace& place);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // Where messages go, without a newline; may be called before Begin.
  void SetReport(ReportFunction report, void* user) { step_.SetReport(report, user); }

  // Holds samples back from now on, and begins with none. To be called after Begin.
  //
  // Returns:
  //   kNoHeldSamples if the memory is too small for one sample, which takes
  //   4 * ValidationRing::EntryWords(words of a sample, 1 or target elements) bytes.
  TrainerStatus SetGuard(const Guard& guard);

  // Completes what a power cut interrupted, and goes on where the last commit left off. To be
  // called before anything else; may be called again. Forgets the samples that are held.
  //
  // Args:
  //   foreign: what to do if flash holds the state of another model or other weights.
  //
  // Returns:
  //   kStoreFailed if nothing can be committed, see store_status(): if is_ready(), the model
  //   predicts and learns all the same, in RAM. It is not ready if its weights are damaged: Reset,
  //   and until then names are those that can still be read.
  //   kBadProgress if the last commit cannot be gone on from: training begins again, from its
  //   weights.
  TrainerStatus Begin(ForeignState foreign = ForeignState::kRefuse);

  // Whether there is a model to predict with and to train.
  bool is_ready() const { return is_ready_; }

  // Learns from one sample, or holds it back. The label of the first spare class enrols it, under
  // the name "class N". What cannot be: see Enrol.
  //
  // Args:
  //   sample: [input elements]; may be sample().
  //   loss: the sample's loss before the update; may be null.
  TrainerStatus Step(const SampleRef& sample, int label, float* loss);

  // The same for a model that learns targets, [output elements].
  TrainerStatus Step(const SampleRef& sample, const float* target, float* loss);

  // Holds a sample back to judge epochs by, which is not learned from. An epoch is judged by those
  // that were there at its beginning.
  //
  // Returns:
  //   kNoHeldSamples if the guard has no memory for it. kLossNotFinite: nothing can be judged by
  //   this sample as long as that is so.
  TrainerStatus Hold(const SampleRef& sample, int label);
  TrainerStatus Hold(const SampleRef& sample, const float* target);

  // Applies a batch that came up short, judges the epoch, commits or drops it, and draws new
  // channels if it is time to. If it fails the epoch is not over: see StepTrainer::EndEpoch.
  //
  // Returns:
  //   kEpochDiscarded if the guard dropped it. The weights are those from before, and all is well.
  TrainerStatus EndEpoch();

  // Args:
  //   scores: [output elements]: probabilities if the model ends in a softmax. Those of spare
  //     classes are 0.
  TrainerStatus Predict(const SampleRef& sample, float* scores);

  // Writes what was learned since the last commit into flash. In the middle of an epoch, too; a
  // start from there does the draw in force again, by the importances of now: other channels.
  TrainerStatus Commit();

  // Drops what was learned since the last commit.
  TrainerStatus Discard();

  // Names the next spare class. It is there after a power cut. What was learned since the last
  // commit stays in RAM. The guard does not judge an epoch in which it comes after the first
  // sample: all losses change.
  //
  // Args:
  //   name: UTF-8 without control characters, 1 to 60 bytes and a zero byte; none that another
  //     class has.
  //   label: of the new class; may be null.
  //
  // Returns:
  //   kBadName, kNameTaken, kNoSpareClass, kNothingToCommitTo without flash, kStoreFailed if it
  //   did not take the name.
  TrainerStatus Enrol(const char* name, int* label);

  // Classes, spare ones apart; 0 for a model that learns targets.
  int classes() const { return enrolled_; }

  // The name of a class, cut if the room is too small; false if it has none.
  bool ClassName(int label, char* name, uint32_t room) const;

  // Forgets all that was ever learned, and the classes that were enrolled, in one commit; then
  // begins again. Works whatever Begin has found. Without flash it only begins again.
  //
  // Returns:
  //   kNoFactoryCopy if the model has none, or it is damaged. kStoreFailed if the store did not
  //   take it.
  TrainerStatus Reset();

  // Another learning rate than the model's, over samples(). Stays through Begin.
  void SetSchedule(const CosineSchedule& schedule);

  const StaticModel& model() const { return model_; }
  // The weights region as it was last committed, [model().weights_floats].
  const float* weights() const { return sink_.weights(); }
  const StepTrainer& step() const { return step_; }
  float* sample() const { return step_.sample(); }             // See StepTrainer.
  void* sample_place() const { return step_.sample_place(); }  // Likewise.
  // See WeightStore; after a change there, call Begin.
  FlashSink& sink() { return sink_; }
  StoreStatus store_status() const { return sink_.status(); }
  uint32_t held() const { return ring_.count(); }

 private:
  TrainerStatus Start();
  void CountClasses(bool is_sound);
  void EmptyRing();
  TrainerStatus CheckStore();

  // Of one sample; a label is an int or a target, const float*.
  TrainerStatus CheckLabel(int label, int most);
  TrainerStatus Check(const SampleRef& sample, int label);
  TrainerStatus Check(const SampleRef& sample, const float* target);
  template <typename Label>
  TrainerStatus LearnOrKeep(const SampleRef& sample, Label label, float* loss);
  template <typename Label>
  TrainerStatus Keep(const SampleRef& sample, Label label, float* loss);
  bool IsKept() const;

  // Of the held samples.
  TrainerStatus Measure(const ValidationRing::Held& held, float* loss);
  TrainerStatus MeasureAll();
  void MeasureMissing();
  TrainerStatus EndAs(TrainerStatus status, bool is_judged);
  void StartFromBase();

  // trainer_classes.cc
  bool HasSpareClass() const;
  TrainerStatus Admit(const SampleRef& sample, int label);
  TrainerStatus CheckName(const char* name);
  TrainerStatus AddClass(const char* name, int* label);
  StoreStatus StoreClass(const char* name);

  const StaticModel& model_;
  void* arena_;
  size_t arena_bytes_;
  bool has_flash_;
  FlashSink sink_;
  StepTrainer step_;
  ValidationRing ring_;
  Guard guard_ = {};
  CosineSchedule schedule_ = {};
  bool has_schedule_ = false;  // Another one than the model's.
  bool is_ready_ = false;
  TrainerStatus why_not_ = TrainerStatus::kNotInitialized;  // Unless ready.
  bool has_learned_ = false;                                // Since the last commit or discard.
  int enrolled_ = 0;                                        // Classes that are not spare.
  uint32_t seen_ = 0;                                       // Samples since one was held back.
};

}  // namespace medyate

#endif  // TFLM_OPS_TRAINER_TRAINER_H_
