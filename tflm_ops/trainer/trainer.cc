#include "tflm_ops/trainer/trainer.h"

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/store/crc32.h"

namespace medyate {
namespace {

using Status = TrainerStatus;

// A label as the ring keeps it.
const void* WordsOf(const int& label) {
  static_assert(sizeof(label) == sizeof(uint32_t), "one word");
  return &label;
}
const void* WordsOf(const float* const& target) { return target; }

}  // namespace

Trainer::Trainer(const StaticModel& model, void* arena, size_t arena_bytes, const FlashPlace& place)
    : model_(model),
      arena_(arena),
      arena_bytes_(arena_bytes),
      has_flash_(place.flash != nullptr),
      sink_(model, place) {}

Status Trainer::Begin(ForeignState foreign) {
  is_ready_ = false;
  const bool is_open = !has_flash_ || sink_.Open(foreign) == StoreStatus::kOk;
  const bool is_sound = is_open || sink_.are_weights_sound();
  why_not_ = is_sound ? Start() : Status::kStoreFailed;
  if (why_not_ != Status::kBadModel) CountClasses(is_sound);
  if (why_not_ != Status::kOk && why_not_ != Status::kBadProgress) return why_not_;
  is_ready_ = true;
  EmptyRing();
  StartFromBase();
  if (has_schedule_) step_.SetSchedule(schedule_);
  return is_open ? why_not_ : Status::kStoreFailed;
}

// Sets the step trainer up, and has it go on after the last commit.
Status Trainer::Start() {
  CommitSink* const sink = has_flash_ ? &sink_ : nullptr;
  if (NamedClasses(model_) > model_.classes) return Status::kBadModel;
  Status status = step_.Init(model_, arena_, arena_bytes_, sink);
  Progress progress;
  if (status != Status::kOk || !has_flash_ || !sink_.are_weights_committed() ||
      !sink_.ReadProgress(&progress)) {
    return status;
  }
  const uint32_t floats = step_.importance_floats();
  if (sink_.ReadImportance(step_.importance(), floats)) {
    status = step_.Resume(progress, step_.importance(), floats);
    if (status != Status::kBadProgress) return status;
  }
  // The prior may have been overwritten.
  if (floats > 0) {
    step_.Report("importance: expected that of the last commit, found none; draws go by the prior");
    status = step_.Init(model_, arena_, arena_bytes_, sink);
    if (status != Status::kOk) return status;
  }
  return step_.Resume(progress, step_.importance(), floats);
}

void Trainer::SetSchedule(const CosineSchedule& schedule) {
  schedule_ = schedule;
  has_schedule_ = true;
  step_.SetSchedule(schedule);
}

Status Trainer::SetGuard(const Guard& guard) {
  if (!is_ready_) return why_not_;
  guard_ = guard;
  EmptyRing();
  const bool wants_samples = guard.memory || guard.hold_every > 0;
  return wants_samples && ring_.capacity() == 0 ? Status::kNoHeldSamples : Status::kOk;
}

void Trainer::EmptyRing() {
  const uint32_t label_words =
      model_.classes > 0 ? 1 : static_cast<uint32_t>(step_.runner().Elements(model_.label));
  ring_.Init(guard_.memory, guard_.words, step_.sample_bytes(), label_words);
  seen_ = 0;
}

// To be asked after a change of flash that counts: it may have failed in the middle of it.
Status Trainer::CheckStore() {
  if (!has_flash_ || sink_.status() == StoreStatus::kOk || sink_.are_weights_sound()) {
    return Status::kOk;
  }
  is_ready_ = false;
  why_not_ = Status::kStoreFailed;
  return why_not_;
}

// --- one sample

Status Trainer::Step(const SampleRef& sample, int label, float* loss) {
  if (!is_ready_) return why_not_;
  const Status admitted = Admit(sample, label);
  return admitted == Status::kOk ? LearnOrKeep(sample, label, loss) : admitted;
}

Status Trainer::Step(const SampleRef& sample, const float* target, float* loss) {
  return is_ready_ ? LearnOrKeep(sample, target, loss) : why_not_;
}

Status Trainer::Hold(const SampleRef& sample, int label) {
  return is_ready_ ? Keep(sample, label, nullptr) : why_not_;
}

Status Trainer::Hold(const SampleRef& sample, const float* target) {
  return is_ready_ ? Keep(sample, target, nullptr) : why_not_;
}

Status Trainer::CheckLabel(int label, int most) {
  if (model_.classes == 0) return Status::kLabelOfOtherKind;
  if (label >= 0 && label <= most) return Status::kOk;
  step_.ReportLabel(most, label);
  return Status::kLabelOutOfRange;
}

Status Trainer::Check(const SampleRef& sample, int label) {
  const Status status = CheckLabel(label, enrolled_ - 1);
  return status == Status::kOk ? step_.CheckSample(sample) : status;
}

Status Trainer::Check(const SampleRef& sample, const float* target) {
  const Status status = step_.CheckTarget(target);
  return status == Status::kOk ? step_.CheckSample(sample) : status;
}

bool Trainer::IsKept() const {
  return guard_.hold_every > 0 && ring_.capacity() > 0 && seen_ + 1 >= guard_.hold_every;
}

template <typename Label>
Status Trainer::LearnOrKeep(const SampleRef& sample, Label label, float* loss) {
  const bool is_kept = IsKept();
  const Status status = is_kept ? Keep(sample, label, loss) : step_.Step(sample, label, loss);
  if (status != Status::kOk) return status;
  seen_ = is_kept ? 0 : seen_ + 1;
  has_learned_ |= !is_kept;
  return status;
}

// Holds a sample back. Its loss is computed at once if it is asked for, or if that is the loss at
// the last commit.
template <typename Label>
Status Trainer::Keep(const SampleRef& sample, Label label, float* loss) {
  Status status = Check(sample, label);
  if (status != Status::kOk) return status;
  // First, for the sample may lie where the forward pass will write.
  if (!ring_.Add(step_.Put(sample), WordsOf(label))) return Status::kNoHeldSamples;
  if (has_learned_ && !loss) return status;
  float value;
  status = Measure(ring_.newest(), &value);
  if (status == Status::kOk && !has_learned_) *ring_.newest().loss = value;
  if (loss && (status == Status::kOk || status == Status::kLossNotFinite)) *loss = value;
  return status;
}

Status Trainer::Predict(const SampleRef& sample, float* scores) {
  return is_ready_ ? step_.Predict(sample, scores) : why_not_;
}

// --- the held samples

Status Trainer::Measure(const ValidationRing::Held& held, float* loss) {
  const SampleRef sample = step_.Kept(held.sample);
  if (model_.classes > 0) return step_.Loss(sample, static_cast<int>(*held.label), loss);
  return step_.Loss(sample, reinterpret_cast<const float*>(held.label), loss);
}

// Computes all new losses.
Status Trainer::MeasureAll() {
  for (uint32_t i = 0; i < ring_.count(); ++i) {
    const ValidationRing::Held held = ring_.held(i);
    const Status status = Measure(held, held.new_loss);
    if (status != Status::kOk && status != Status::kLossNotFinite) return status;
  }
  return Status::kOk;
}

// Computes the losses that are missing; nothing has been learned since the last commit.
void Trainer::MeasureMissing() {
  for (uint32_t i = 0; i < ring_.count(); ++i) {
    const ValidationRing::Held held = ring_.held(i);
    float loss;
    if (*held.loss < 0.0f && Measure(held, &loss) == Status::kOk) *held.loss = loss;
  }
}

// The weights in the pool are those of the last commit.
void Trainer::StartFromBase() {
  has_learned_ = false;
  MeasureMissing();
}

// --- epochs

Status Trainer::EndEpoch() {
  if (!is_ready_) return why_not_;
  Status status = step_.Flush();
  const bool is_judged = step_.is_sound();  // If not, the step trainer drops the epoch.
  if (is_judged && status == Status::kOk) status = MeasureAll();
  if (is_judged && status != Status::kOk) return status;
  if (is_judged && ring_.IsWorse(guard_.slack)) {
    step_.Report("guard: the loss of the held samples rose; the epoch is dropped");
    return EndAs(step_.DropEpoch(), is_judged);
  }
  return EndAs(step_.EndEpoch(), is_judged);
}

// What follows from how the step trainer ended the epoch.
Status Trainer::EndAs(Status status, bool is_judged) {
  if (status != Status::kOk && status != Status::kEpochDiscarded) return status;
  if (status == Status::kOk && is_judged) ring_.TakeNewLosses();
  StartFromBase();
  if (status == Status::kEpochDiscarded) return status;
  const Status store = CheckStore();
  return store == Status::kOk ? status : store;
}

Status Trainer::Commit() {
  if (!is_ready_) return why_not_;
  const Status status = step_.Commit();
  if (status != Status::kOk) return status;
  ring_.ForgetLosses();
  StartFromBase();
  return CheckStore();
}

Status Trainer::Discard() {
  if (!is_ready_) return why_not_;
  const Status status = step_.Discard();
  if (status == Status::kOk) StartFromBase();
  return status;
}

Status Trainer::Reset() {
  if (!has_flash_) return Begin();
  if (sink_.status() == StoreStatus::kNotOpen) return Status::kNotInitialized;
  // A copy that has decayed is none.
  if (!model_.factory ||
      Crc32(0, model_.factory, 4 * model_.weights_floats) != model_.weights_crc) {
    return Status::kNoFactoryCopy;
  }
  const RecordChange records[] = {{kClassRecords, nullptr, 0}, {kProgressRecord, nullptr, 0}};
  sink_.Restore(records, 2);
  return sink_.counts() ? Begin() : Status::kStoreFailed;
}

}  // namespace medyate
