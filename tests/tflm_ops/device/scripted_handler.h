#ifndef TESTS_TFLM_OPS_DEVICE_SCRIPTED_HANDLER_H_
#define TESTS_TFLM_OPS_DEVICE_SCRIPTED_HANDLER_H_

// A device whose answers can be foretold, and which writes down what it is asked to do. It has no
// model: the loss of a sample is its sum plus the label, its scores are multiples of the sum. The
// learned delta is a real one, against weights 0, 1/8, 2/8 and so on.

#include <stdint.h>
#include <string.h>

#include <string>
#include <vector>

#include "tflm_ops/device/session.h"
#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/sparse_delta.h"

namespace medyate {

constexpr uint32_t kScriptedWeights = 700;
constexpr uint32_t kScriptedHashLow = 0x89abcdefu;
constexpr uint32_t kScriptedHashHigh = 0x01234567u;
constexpr uint32_t kMostPushBytes = 8192;

class ScriptedHandler final : public Handler {
 public:
  ScriptedHandler(std::vector<uint32_t> dims, uint32_t classes, uint32_t outputs)
      : dims_(dims), classes_(classes), outputs_(outputs), factory_(kScriptedWeights) {
    uint32_t floats = 1;
    for (uint32_t side : dims) floats *= side;
    sample_.resize(floats);
    for (uint32_t i = 0; i < kScriptedWeights; ++i) factory_[i] = static_cast<float>(i) / 8.0f;
    weights_ = factory_;
  }
  virtual ~ScriptedHandler() = default;

  // One line for each thing that was done, in order.
  const std::vector<std::string>& log() const { return log_; }
  // What the next thing to be done results in.
  void FailNext(DeviceStatus status) { next_ = status; }
  uint32_t abandoned() const { return abandoned_; }
  uint32_t samples() const { return samples_; }

  void Describe(HelloAnswer* info, const char** name) override {
    info->model_hash[0] = kScriptedHashLow;
    info->model_hash[1] = kScriptedHashHigh;
    info->sample_rank = static_cast<uint32_t>(dims_.size());
    for (uint32_t i = 0; i < dims_.size(); ++i) info->sample_dims[i] = dims_[i];
    info->classes = info->factory_classes = classes_;
    info->outputs = outputs_;
    info->weights_floats = kScriptedWeights;
    info->batch_size = 1;
    *name = "scripted";
  }

  void Report(StatusAnswer* status) override {
    status->samples = samples_;
    status->epochs = epochs_;
    status->draw = -1;
    status->is_sound = 1;
    status->named_classes = static_cast<uint32_t>(names_.size());
    status->commits_left = kAny;
  }

  void* Sample() override { return sample_.data(); }

  DeviceStatus Step(const void* sample, uint32_t label, float* loss) override {
    Note("step " + std::to_string(label));
    if (label >= classes_) return DeviceStatus::kLabelOutOfRange;
    *loss = Sum(sample) + static_cast<float>(label);
    ++samples_;
    return Next();
  }

  DeviceStatus StepTarget(const void* sample, const float* target, float* loss) override {
    Note("target " + std::to_string(static_cast<int>(target[0])));
    *loss = Sum(sample);
    for (uint32_t i = 0; i < outputs_; ++i) *loss += target[i];
    ++samples_;
    return Next();
  }

  DeviceStatus Predict(const void* sample, float* scores) override {
    Note("predict");
    for (uint32_t i = 0; i < outputs_; ++i) scores[i] = static_cast<float>(i) * Sum(sample);
    return Next();
  }

  DeviceStatus EndEpoch() override {
    Note("end_epoch");
    ++epochs_;
    return Next();
  }
  DeviceStatus Commit() override { return Note("commit"), Next(); }
  DeviceStatus Discard() override { return Note("discard"), Next(); }

  DeviceStatus Reset() override {
    Note("reset");
    weights_ = factory_;
    return Next();
  }

  DeviceStatus Enrol(const char* name, uint32_t* label) override {
    Note(std::string("enrol ") + name);
    for (const std::string& known : names_) {
      if (known == name) return DeviceStatus::kNameTaken;
    }
    if (names_.size() == 3) return DeviceStatus::kNoSpareClass;
    *label = static_cast<uint32_t>(names_.size());
    names_.push_back(name);
    return Next();
  }

  DeviceStatus OpenPull(Region region, uint32_t* bytes, uint32_t* crc) override {
    if (region == Region::kWeights) {
      pulled_.resize(kScriptedWeights);
      memcpy(pulled_.data(), weights_.data(), 4 * kScriptedWeights);
    } else if (region == Region::kDelta) {
      pulled_.resize(4 * kScriptedWeights);
      const uint32_t hash[2] = {kScriptedHashLow, kScriptedHashHigh};
      pulled_.resize(EncodeDelta(DeltaKind::kValues, hash, factory_.data(), weights_.data(),
                                 kScriptedWeights, pulled_.data(), 4 * kScriptedWeights));
    } else {
      return DeviceStatus::kNoSuchRegion;
    }
    *bytes = static_cast<uint32_t>(4 * pulled_.size());
    *crc = Crc32(0, pulled_.data(), *bytes);
    return DeviceStatus::kOk;
  }

  DeviceStatus ReadPull(uint32_t offset, uint8_t* out, uint32_t bytes) override {
    memcpy(out, reinterpret_cast<const uint8_t*>(pulled_.data()) + offset, bytes);
    return DeviceStatus::kOk;
  }

  DeviceStatus BeginPush(Region region, uint32_t total) override {
    if (region != Region::kDelta) return DeviceStatus::kNoSuchRegion;
    if (total > kMostPushBytes || total % 4 != 0) return DeviceStatus::kPushTooLong;
    pushed_.assign(total / 4, 0);
    return DeviceStatus::kOk;
  }

  DeviceStatus WritePush(uint32_t offset, const uint8_t* data, uint32_t bytes) override {
    memcpy(reinterpret_cast<uint8_t*>(pushed_.data()) + offset, data, bytes);
    return DeviceStatus::kOk;
  }

  DeviceStatus FinishPush() override {
    Note("push " + std::to_string(4 * pushed_.size()));
    const uint32_t hash[2] = {kScriptedHashLow, kScriptedHashHigh};
    const DeltaStatus status =
        ApplyDelta(pushed_.data(), static_cast<uint32_t>(pushed_.size()), hash,
                   DeltaOwner::kSameModel, kScriptedWeights, weights_.data());
    // Statuses of deltas lie side by side in both lists.
    if (status == DeltaStatus::kOk) return DeviceStatus::kOk;
    return static_cast<DeviceStatus>(static_cast<uint32_t>(DeviceStatus::kDeltaDamaged) +
                                     static_cast<uint32_t>(status) - 1);
  }

  void AbandonPush() override { ++abandoned_; }

 private:
  float Sum(const void* sample) const {
    const float* numbers = static_cast<const float*>(sample);
    float sum = 0;
    for (size_t i = 0; i < sample_.size(); ++i) sum += numbers[i];
    return sum;
  }

  void Note(const std::string& line) { log_.push_back(line); }

  DeviceStatus Next() {
    const DeviceStatus status = next_;
    next_ = DeviceStatus::kOk;
    return status;
  }

  std::vector<uint32_t> dims_;
  uint32_t classes_;
  uint32_t outputs_;
  std::vector<float> sample_;
  std::vector<float> factory_;
  std::vector<float> weights_;
  std::vector<uint32_t> pulled_;
  std::vector<uint32_t> pushed_;
  std::vector<std::string> names_;
  std::vector<std::string> log_;
  DeviceStatus next_ = DeviceStatus::kOk;
  uint32_t samples_ = 0;
  uint32_t epochs_ = 0;
  uint32_t abandoned_ = 0;
};

}  // namespace medyate

#endif  // TESTS_TFLM_OPS_DEVICE_SCRIPTED_HANDLER_H_
