#ifndef TFLM_OPS_DEVICE_TRAINER_HANDLER_H_
#define TFLM_OPS_DEVICE_TRAINER_HANDLER_H_

// A Trainer at the device's end of the serial protocol.
//
//   medyate::TrainerHandler handler(&trainer);
//   medyate::Session session(&handler, &uart, request, 256, answer, 256);

#include "tflm_ops/device/class_names.h"
#include "tflm_ops/device/gate.h"
#include "tflm_ops/device/session.h"
#include "tflm_ops/trainer/trainer.h"

namespace medyate {

// The status of a request for a trainer's; kStoreFailed and kCommitFailed become the weight
// store's own, if that has one to say.
DeviceStatus DeviceStatusOf(TrainerStatus status, StoreStatus store);

// The same for the weight store's.
DeviceStatus DeviceStatusOf(StoreStatus status);

class TrainerHandler : public Handler {
 public:
  // Args:
  //   trainer: must outlive the handler; Begin has been called.
  explicit TrainerHandler(Trainer* trainer) : trainer_(trainer) {}

  // What a host must have to change what was learned; there is no gate unless this is called.
  void SetGate(const Gate& gate) { gate_.Set(gate); }

  void Describe(HelloAnswer* info, const char** name) override;
  void Report(StatusAnswer* status) override;
  void* Sample() override;
  DeviceStatus Step(const void* sample, uint32_t label, float* loss) override;
  DeviceStatus StepTarget(const void* sample, const float* target, float* loss) override;
  DeviceStatus Predict(const void* sample, float* scores) override;
  DeviceStatus EndEpoch() override;
  DeviceStatus Commit() override;
  DeviceStatus Discard() override;
  DeviceStatus Reset() override;
  DeviceStatus Enrol(const char* name, uint32_t* label) override;

  // kWeights as they were last committed; kNames.
  DeviceStatus OpenPull(Region region, uint32_t* bytes, uint32_t* crc) override;
  DeviceStatus ReadPull(uint32_t offset, uint8_t* out, uint32_t bytes) override;

  // kWeights replaces all weights in one commit, and what was learned since the last one is gone.
  // If names follow them, they are committed along, and say which spare classes are
  // enrolled; else that stays. kNames alone does as Enrol does for classes that were not enrolled,
  // and makes spare classes again of those it leaves out. A push that is abandoned needs no more
  // than the next one's beginning.
  DeviceStatus BeginPush(Region region, uint32_t total) override;
  DeviceStatus WritePush(uint32_t offset, const uint8_t* data, uint32_t bytes) override;
  DeviceStatus FinishPush() override;

 private:
  DeviceStatus Of(TrainerStatus status) const;
  uint32_t WeightsBytes() const;
  DeviceStatus WriteWeights(const uint8_t* data, uint32_t bytes);
  DeviceStatus WriteNames(const uint8_t* data, uint32_t bytes);
  DeviceStatus CheckNames() const;
  DeviceStatus CommitPush();
  StoreStatus CommitRecords(const RecordChange* records, uint32_t count);
  StoreStatus CommitNames(const RecordChange* records, uint32_t count);

  Trainer* trainer_;
  GateKeeper gate_;
  uint32_t dropped_epochs_ = 0;
  // Of the push or pull that goes on.
  Region region_ = Region::kNames;
  uint8_t rest_[4] = {};  // Bytes of the weights that are no whole word yet.
  uint32_t rest_bytes_ = 0;
  NamesReader names_;
};

}  // namespace medyate

#endif  // TFLM_OPS_DEVICE_TRAINER_HANDLER_H_
