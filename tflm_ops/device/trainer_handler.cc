#include "tflm_ops/device/trainer_handler.h"

#include <string.h>

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/trainer/names.h"
#include "tflm_ops/trainer/static_runner.h"

namespace medyate {
namespace {

const uint32_t kChunkWords = 16;
const uint32_t kClassRecordBytes = sizeof(kClassRecords) - 1 + kNumberBytes;
// The bias of a spare class is -10,000, or on its way to 0 from there by weight decay; that of a
// class in use comes nowhere near the limit.
const float kSpareBias = -1e4f;
const float kLeastBias = -100.0f;

uint32_t Elements(const StaticTensor& tensor) {
  uint32_t elements = 1;
  for (int i = 1; i <= tensor.dims[0]; ++i) elements *= static_cast<uint32_t>(tensor.dims[i]);
  return elements;
}

// The sides of a sample: those of the model's input after the batch axis.
uint32_t SampleDims(const StaticModel& model, uint32_t* dims) {
  const int* sides = model.tensors[model.sample].dims;
  uint32_t rank = 0;
  for (int i = 2; i <= sides[0] && rank < kMaxSampleRank; ++i) {
    dims[rank++] = static_cast<uint32_t>(sides[i]);
  }
  return rank;
}

// The bias of class 0 in the weights region, in floats; -1 if the head has none.
int64_t FirstBias(const StaticModel& model) {
  if (model.layer_count == 0) return -1;
  const TrainedLayer& head = model.layers[model.layer_count - 1];
  return head.biases == static_cast<uint32_t>(model.classes) ? head.bias_weights_offset : -1;
}

float MeanOf(const float* values, uint32_t n) {
  float sum = 0.0f;
  for (uint32_t i = 0; i < n; ++i) sum += values[i];
  return n > 0 ? sum / static_cast<float>(n) : 0.0f;
}

}  // namespace

DeviceStatus TrainerHandler::Of(TrainerStatus status) const {
  return DeviceStatusOf(status, trainer_->store_status());
}

void TrainerHandler::Describe(HelloAnswer* info, const char** name) {
  const StaticModel& model = trainer_->model();
  *name = model.name;
  memcpy(info->model_hash, model.hash, sizeof(info->model_hash));
  info->sample_rank = SampleDims(model, info->sample_dims);
  info->classes = static_cast<uint32_t>(model.classes);
  info->factory_classes = static_cast<uint32_t>(NamedClasses(model));
  info->outputs = Elements(model.tensors[model.logits]);
  info->weights_floats = model.weights_floats;
  info->batch_size = model.batch_size;
  info->sample_is_int8 = TakesInt8(model) ? 1 : 0;
  info->sample_factor = model.sample_type.factor;
  info->sample_offset = model.sample_type.offset;
  info->sample_scale = model.sample_type.scale;
  info->sample_zero = model.sample_type.zero;
}

void TrainerHandler::Report(StatusAnswer* status) {
  const StepTrainer& step = trainer_->step();
  status->samples = step.samples();
  status->updates = step.updates();
  status->epochs = step.epochs();
  status->draw = step.draw();
  status->is_sound = step.is_sound();
  status->named_classes = static_cast<uint32_t>(trainer_->classes());
  status->commits = trainer_->sink().store().sequence();
  status->commits_left = status->commits > 0 ? trainer_->sink().CommitsLeft() : kAny;
  status->store_status = static_cast<uint32_t>(DeviceStatusOf(trainer_->store_status()));
  status->arena_bytes = static_cast<uint32_t>(StaticRunner::ArenaBytes(trainer_->model()));
  status->held_samples = trainer_->held();
  status->dropped_epochs = dropped_epochs_;
}

void* TrainerHandler::Sample() { return trainer_->is_ready() ? trainer_->sample_place() : nullptr; }

DeviceStatus TrainerHandler::Step(const void* sample, uint32_t label, float* loss) {
  const uint32_t classes = static_cast<uint32_t>(trainer_->model().classes);
  if (label >= classes && classes > 0) return DeviceStatus::kLabelOutOfRange;
  if (label >= static_cast<uint32_t>(trainer_->classes()) && classes > 0) {  // It enrols a class.
    const DeviceStatus gate = gate_.Ask(true);
    if (gate != DeviceStatus::kOk) return gate;
  }
  return Of(trainer_->Step(trainer_->step().Kept(sample), static_cast<int>(label), loss));
}

DeviceStatus TrainerHandler::StepTarget(const void* sample, const float* target, float* loss) {
  return Of(trainer_->Step(trainer_->step().Kept(sample), target, loss));
}

DeviceStatus TrainerHandler::Predict(const void* sample, float* scores) {
  return Of(trainer_->Predict(trainer_->step().Kept(sample), scores));
}

DeviceStatus TrainerHandler::EndEpoch() {
  const DeviceStatus gate = gate_.Ask(false);
  if (gate != DeviceStatus::kOk) return gate;
  const TrainerStatus status = trainer_->EndEpoch();
  if (status == TrainerStatus::kEpochDiscarded) ++dropped_epochs_;
  return Of(status);
}

DeviceStatus TrainerHandler::Commit() {
  const DeviceStatus gate = gate_.Ask(false);
  return gate == DeviceStatus::kOk ? Of(trainer_->Commit()) : gate;
}

DeviceStatus TrainerHandler::Discard() { return Of(trainer_->Discard()); }

DeviceStatus TrainerHandler::Reset() {
  const DeviceStatus gate = gate_.Ask(true);
  return gate == DeviceStatus::kOk ? Of(trainer_->Reset()) : gate;
}

DeviceStatus TrainerHandler::Enrol(const char* name, uint32_t* label) {
  int number = 0;
  const DeviceStatus gate = gate_.Ask(true);
  if (gate != DeviceStatus::kOk) return gate;
  const TrainerStatus status = trainer_->Enrol(name, &number);
  *label = static_cast<uint32_t>(number);
  return Of(status);
}

// --- pull

DeviceStatus TrainerHandler::OpenPull(Region region, uint32_t* bytes, uint32_t* crc) {
  region_ = region;
  if (region == Region::kNames) {
    NamesText(*trainer_).Measure(bytes, crc);
    return DeviceStatus::kOk;
  }
  if (region != Region::kWeights) return DeviceStatus::kNoSuchRegion;
  if (!trainer_->sink().are_weights_sound()) return DeviceStatusOf(trainer_->store_status());
  *bytes = WeightsBytes();
  *crc = Crc32(0, trainer_->weights(), *bytes);
  return DeviceStatus::kOk;
}

DeviceStatus TrainerHandler::ReadPull(uint32_t offset, uint8_t* out, uint32_t bytes) {
  if (region_ == Region::kNames) {
    NamesText(*trainer_).Read(offset, out, bytes);
  } else {
    memcpy(out, reinterpret_cast<const uint8_t*>(trainer_->weights()) + offset, bytes);
  }
  return DeviceStatus::kOk;
}

// --- push

uint32_t TrainerHandler::WeightsBytes() const { return 4 * trainer_->model().weights_floats; }

DeviceStatus TrainerHandler::BeginPush(Region region, uint32_t total) {
  const DeviceStatus gate = gate_.Ask(true);
  if (gate != DeviceStatus::kOk) return gate;
  const StaticModel& model = trainer_->model();
  region_ = region;
  rest_bytes_ = 0;
  names_.Begin(static_cast<uint32_t>(NamedClasses(model)), static_cast<uint32_t>(model.classes));
  if (region == Region::kNames) return DeviceStatus::kOk;
  if (region != Region::kWeights) return DeviceStatus::kNoSuchRegion;
  if (total < WeightsBytes()) return DeviceStatus::kPushOfOtherSize;
  return DeviceStatusOf(trainer_->sink().store().BeginReplace());
}

DeviceStatus TrainerHandler::WritePush(uint32_t offset, const uint8_t* data, uint32_t bytes) {
  if (region_ == Region::kNames) return WriteNames(data, bytes);
  const uint32_t left = offset < WeightsBytes() ? WeightsBytes() - offset : 0;
  const uint32_t weights = bytes < left ? bytes : left;
  const DeviceStatus status = WriteWeights(data, weights);
  return status == DeviceStatus::kOk ? WriteNames(data + weights, bytes - weights) : status;
}

// Hands whole words on; what is left over waits for the next part.
DeviceStatus TrainerHandler::WriteWeights(const uint8_t* data, uint32_t bytes) {
  uint32_t words[kChunkWords];
  while (rest_bytes_ + bytes >= 4) {
    const uint32_t there = rest_bytes_ + bytes;
    const uint32_t count = there / 4 < kChunkWords ? there / 4 : kChunkWords;
    const uint32_t taken = 4 * count - rest_bytes_;
    memcpy(words, rest_, rest_bytes_);
    memcpy(reinterpret_cast<uint8_t*>(words) + rest_bytes_, data, taken);
    data += taken;
    bytes -= taken;
    rest_bytes_ = 0;
    const StoreStatus status = trainer_->sink().store().Replace(words, count);
    if (status != StoreStatus::kOk) return DeviceStatusOf(status);
  }
  memcpy(rest_ + rest_bytes_, data, bytes);
  rest_bytes_ += bytes;
  return DeviceStatus::kOk;
}

DeviceStatus TrainerHandler::WriteNames(const uint8_t* data, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; ++i) {
    const DeviceStatus status = names_.Push(data[i]);
    if (status != DeviceStatus::kOk) return status;
  }
  return DeviceStatus::kOk;
}

// Whether none of the names belongs to one of the model's own classes.
DeviceStatus TrainerHandler::CheckNames() const {
  const StaticModel& model = trainer_->model();
  for (int label = 0; model.class_names && label < NamedClasses(model); ++label) {
    for (uint32_t i = 0; i < names_.count(); ++i) {
      if (strcmp(names_.name(i), model.class_names[label]) == 0) return DeviceStatus::kNameTaken;
    }
  }
  return DeviceStatus::kOk;
}

DeviceStatus TrainerHandler::FinishPush() {
  DeviceStatus status = names_.Finish();
  if (status == DeviceStatus::kOk) status = CheckNames();
  if (status != DeviceStatus::kOk) return status;
  const uint32_t before = trainer_->sink().store().sequence();
  status = CommitPush();
  // What lies in flash now is not what the trainer goes by.
  if (trainer_->sink().store().sequence() != before) {
    const DeviceStatus begun = Of(trainer_->Begin());
    if (status == DeviceStatus::kOk) status = begun;
  }
  return status;
}

// Weights, or names, or both, in one commit.
DeviceStatus TrainerHandler::CommitPush() {
  char record_names[kMostPushedClasses][kClassRecordBytes];
  // First the old names go, then the new ones come.
  RecordChange records[kMostPushedClasses + 1] = {{kClassRecords, nullptr, 0}};
  uint32_t count = region_ == Region::kWeights && names_.is_empty() ? 0 : 1;
  for (uint32_t i = 0; i < names_.count(); ++i) {
    NumberedName(kClassRecords, NamedClasses(trainer_->model()) + static_cast<int>(i),
                 record_names[i]);
    const char* name = names_.name(i);
    records[count++] = {record_names[i], name, static_cast<uint32_t>(strlen(name))};
  }
  return DeviceStatusOf(CommitRecords(records, count));
}

StoreStatus TrainerHandler::CommitRecords(const RecordChange* records, uint32_t count) {
  return region_ == Region::kWeights
             ? trainer_->sink().store().FinishReplace(records, count, nullptr)
             : CommitNames(records, count);
}

// With them the biases of classes that are in use from now on, or no longer.
StoreStatus TrainerHandler::CommitNames(const RecordChange* records, uint32_t count) {
  const StaticModel& model = trainer_->model();
  const int64_t first = FirstBias(model);
  const uint32_t named = static_cast<uint32_t>(NamedClasses(model));
  const uint32_t enrolled = static_cast<uint32_t>(trainer_->classes());
  WeightRun runs[kMostPushedClasses];
  float biases[kMostPushedClasses];
  uint32_t changed = 0;
  for (uint32_t label = named; first >= 0 && label < static_cast<uint32_t>(model.classes);
       ++label) {
    const float* all = trainer_->weights() + first;
    const bool is_used = all[label] > kLeastBias, is_named = label - named < names_.count();
    if (is_used == is_named) continue;
    if (changed == kMostPushedClasses) return StoreStatus::kBadRecord;
    biases[changed] = is_named ? MeanOf(all, enrolled) : kSpareBias;
    runs[changed] = {changed, static_cast<uint32_t>(first) + label, 1};
    ++changed;
  }
  const ArrayRuns list(runs, changed);
  return trainer_->sink().Change({&list, biases, changed, records, count, nullptr});
}

}  // namespace medyate
