// Classes of a Trainer: their names, and new ones.

#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/trainer/names.h"
#include "tflm_ops/trainer/trainer.h"

namespace medyate {
namespace {

using Status = TrainerStatus;

const char kDefaultName[] = "class ";

// The name of a class's record.
class ClassRecord {
 public:
  explicit ClassRecord(int label) { NumberedName(kClassRecords, label, name_); }
  const char* name() const { return name_; }

 private:
  char name_[sizeof(kClassRecords) + kNumberBytes];
};

const TrainedLayer& HeadOf(const StaticModel& model) { return model.layers[model.layer_count - 1]; }

}  // namespace

// Named classes, and those after them that have a record, without a gap. Records of other weights
// than those in flash are of use only if these are damaged.
void Trainer::CountClasses(bool is_sound) {
  uint32_t bytes;
  enrolled_ = NamedClasses(model_);
  const bool has_records = has_flash_ && (!is_sound || sink_.are_weights_committed());
  while (has_records && enrolled_ < model_.classes &&
         sink_.store().ReadRecord(ClassRecord(enrolled_).name(), nullptr, 0, &bytes)) {
    ++enrolled_;
  }
}

// Whether one can be enrolled: without trained biases there is nothing to do it by.
bool Trainer::HasSpareClass() const {
  return enrolled_ < model_.classes && model_.layer_count > 0 &&
         HeadOf(model_).biases == static_cast<uint32_t>(model_.classes);
}

// Enrols the class of a sample that is to be learned from, if it is a new one.
Status Trainer::Admit(const SampleRef& sample, int label) {
  const bool has_spare = HasSpareClass();
  Status status = CheckLabel(label, has_spare ? enrolled_ : enrolled_ - 1);
  if (status != Status::kOk || label < enrolled_) return status;
  status = step_.CheckSample(sample);
  if (status != Status::kOk) return status;
  char name[sizeof(kDefaultName) + kNumberBytes];
  NumberedName(kDefaultName, label, name);
  return AddClass(name, nullptr);
}

Status Trainer::Enrol(const char* name, int* label) {
  if (!is_ready_) return why_not_;
  const Status status = AddClass(name, label);
  if (status == Status::kOk && !has_learned_) MeasureMissing();
  return status;
}

// Enrols a class, and touches nothing in the arena that may be a sample.
Status Trainer::AddClass(const char* name, int* label) {
  if (model_.classes == 0) return Status::kLabelOfOtherKind;
  const Status status = CheckName(name);
  if (status != Status::kOk) return status;
  if (!HasSpareClass()) {
    step_.Report("classes: expected a spare one, all are in use");
    return Status::kNoSpareClass;
  }
  if (!has_flash_) return Status::kNothingToCommitTo;
  StoreClass(name);
  if (!sink_.counts()) return Status::kStoreFailed;
  step_.ReloadBias(static_cast<uint32_t>(enrolled_));
  if (label) *label = enrolled_;
  ++enrolled_;
  ring_.ForgetLosses();
  return CheckStore();
}

Status Trainer::CheckName(const char* name) {
  if (!name) return Status::kNullArgument;
  const size_t bytes = strlen(name);
  if (bytes == 0 || bytes >= kClassNameBytes || !IsValidName(name, static_cast<uint32_t>(bytes))) {
    step_.Report("name: expected 1 to 60 bytes of UTF-8 without control characters");
    return Status::kBadName;
  }
  char other[kClassNameBytes];
  for (int i = 0; i < enrolled_; ++i) {
    if (!ClassName(i, other, sizeof(other)) || strcmp(name, other) != 0) continue;
    step_.Report("name: expected one that no other class has");
    return Status::kNameTaken;
  }
  return Status::kOk;
}

// One commit: the class's name, and a bias like those of the classes there are, in place of the
// one that kept it out.
StoreStatus Trainer::StoreClass(const char* name) {
  const uint32_t biases = HeadOf(model_).bias_weights_offset;
  float bias = 0.0f;
  for (int i = 0; i < enrolled_; ++i) bias += weights()[biases + i];
  bias /= static_cast<float>(enrolled_);
  const WeightRun run = {0, biases + static_cast<uint32_t>(enrolled_), 1};
  const ArrayRuns runs(&run, 1);
  const ClassRecord record(enrolled_);
  const RecordChange change = {record.name(), name, static_cast<uint32_t>(strlen(name))};
  return sink_.Change({&runs, &bias, 1, &change, 1, nullptr});
}

bool Trainer::ClassName(int label, char* name, uint32_t room) const {
  if (label < 0 || label >= enrolled_ || !name || room == 0) return false;
  if (label < NamedClasses(model_)) {
    if (!model_.class_names) return false;
    CopyName(model_.class_names[label], name, room);
    return true;
  }
  char stored[kClassNameBytes] = {};
  uint32_t bytes;
  if (!sink_.store().ReadRecord(ClassRecord(label).name(), stored, kClassNameBytes - 1, &bytes)) {
    return false;
  }
  CopyName(stored, name, room);
  return true;
}

}  // namespace medyate
