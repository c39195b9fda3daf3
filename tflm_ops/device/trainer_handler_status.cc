// A trainer's and a weight store's statuses as the serial protocol numbers them.

#include "tflm_ops/device/trainer_handler.h"

namespace medyate {
namespace {

constexpr bool IsTwin(StoreStatus store, DeviceStatus status) {
  return static_cast<uint32_t>(DeviceStatus::kStoreNotOpen) + static_cast<uint32_t>(store) -
             static_cast<uint32_t>(StoreStatus::kNotOpen) ==
         static_cast<uint32_t>(status);
}

static_assert(IsTwin(StoreStatus::kNotOpen, DeviceStatus::kStoreNotOpen), "128");
static_assert(IsTwin(StoreStatus::kBadConfig, DeviceStatus::kStoreBadConfig), "129");
static_assert(IsTwin(StoreStatus::kBadRuns, DeviceStatus::kStoreBadRuns), "130");
static_assert(IsTwin(StoreStatus::kBadRecord, DeviceStatus::kStoreBadRecord), "131");
static_assert(IsTwin(StoreStatus::kNotFinite, DeviceStatus::kStoreNotFinite), "132");
static_assert(IsTwin(StoreStatus::kJournalTooSmall, DeviceStatus::kStoreJournalTooSmall), "133");
static_assert(IsTwin(StoreStatus::kHeadFull, DeviceStatus::kStoreHeadFull), "134");
static_assert(IsTwin(StoreStatus::kWornOut, DeviceStatus::kStoreWornOut), "135");
static_assert(IsTwin(StoreStatus::kOtherModel, DeviceStatus::kStoreOtherModel), "136");
static_assert(IsTwin(StoreStatus::kWeightsChanged, DeviceStatus::kStoreWeightsChanged), "137");
static_assert(IsTwin(StoreStatus::kJournalDamaged, DeviceStatus::kStoreJournalDamaged), "138");
static_assert(IsTwin(StoreStatus::kJournalFailed, DeviceStatus::kStoreJournalFailed), "139");
static_assert(IsTwin(StoreStatus::kWeightsFailed, DeviceStatus::kStoreWeightsFailed), "140");
static_assert(IsTwin(StoreStatus::kNotClosed, DeviceStatus::kStoreNotClosed), "141");
static_assert(IsTwin(StoreStatus::kOtherLayout, DeviceStatus::kStoreOtherLayout), "142");

}  // namespace

DeviceStatus DeviceStatusOf(StoreStatus status) {
  if (status == StoreStatus::kOk) return DeviceStatus::kOk;
  return static_cast<DeviceStatus>(static_cast<uint32_t>(DeviceStatus::kStoreNotOpen) +
                                   static_cast<uint32_t>(status) -
                                   static_cast<uint32_t>(StoreStatus::kNotOpen));
}

DeviceStatus DeviceStatusOf(TrainerStatus status, StoreStatus store) {
  switch (status) {
    case TrainerStatus::kOk:
      return DeviceStatus::kOk;
    case TrainerStatus::kNotInitialized:
      return DeviceStatus::kNotInitialized;
    case TrainerStatus::kNoArena:
      return DeviceStatus::kNoArena;
    case TrainerStatus::kArenaNotAligned:
      return DeviceStatus::kArenaNotAligned;
    case TrainerStatus::kArenaTooSmall:
      return DeviceStatus::kArenaTooSmall;
    case TrainerStatus::kBadModel:
      return DeviceStatus::kBadModel;
    case TrainerStatus::kNullArgument:
      return DeviceStatus::kNullArgument;
    case TrainerStatus::kSampleNotFinite:
      return DeviceStatus::kSampleNotFinite;
    case TrainerStatus::kSampleOfOtherKind:
      return DeviceStatus::kSampleOfOtherKind;
    case TrainerStatus::kLabelOutOfRange:
      return DeviceStatus::kLabelOutOfRange;
    case TrainerStatus::kTargetNotFinite:
      return DeviceStatus::kTargetNotFinite;
    case TrainerStatus::kTargetOutOfRange:
      return DeviceStatus::kTargetOutOfRange;
    case TrainerStatus::kLabelOfOtherKind:
      return DeviceStatus::kLabelOfOtherKind;
    case TrainerStatus::kNothingToCommitTo:
      return DeviceStatus::kNothingToCommitTo;
    case TrainerStatus::kBadProgress:
      return DeviceStatus::kBadProgress;
    case TrainerStatus::kLossNotFinite:
      return DeviceStatus::kLossNotFinite;
    case TrainerStatus::kGradientsNotFinite:
      return DeviceStatus::kGradientsNotFinite;
    case TrainerStatus::kCommitFailed:
      return store == StoreStatus::kOk ? DeviceStatus::kCommitFailed : DeviceStatusOf(store);
    case TrainerStatus::kOpFailed:
      return DeviceStatus::kOpFailed;
    case TrainerStatus::kEpochDiscarded:
      return DeviceStatus::kEpochDiscarded;
    case TrainerStatus::kStoreFailed:
      return store == StoreStatus::kOk ? DeviceStatus::kStoreFailed : DeviceStatusOf(store);
    case TrainerStatus::kBadName:
      return DeviceStatus::kBadName;
    case TrainerStatus::kNameTaken:
      return DeviceStatus::kNameTaken;
    case TrainerStatus::kNoSpareClass:
      return DeviceStatus::kNoSpareClass;
    case TrainerStatus::kNoFactoryCopy:
      return DeviceStatus::kNoFactoryCopy;
    case TrainerStatus::kNoHeldSamples:
      return DeviceStatus::kNoHeldSamples;
  }
  return DeviceStatus::kOpFailed;
}

}  // namespace medyate
