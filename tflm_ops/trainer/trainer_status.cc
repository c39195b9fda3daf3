#include "tflm_ops/trainer/step_trainer.h"

namespace medyate {

const char* TrainerStatusName(TrainerStatus status) {
  switch (status) {
    case TrainerStatus::kOk:
      return "kOk";
    case TrainerStatus::kNotInitialized:
      return "kNotInitialized";
    case TrainerStatus::kNoArena:
      return "kNoArena";
    case TrainerStatus::kArenaNotAligned:
      return "kArenaNotAligned";
    case TrainerStatus::kArenaTooSmall:
      return "kArenaTooSmall";
    case TrainerStatus::kBadModel:
      return "kBadModel";
    case TrainerStatus::kNullArgument:
      return "kNullArgument";
    case TrainerStatus::kSampleNotFinite:
      return "kSampleNotFinite";
    case TrainerStatus::kSampleOfOtherKind:
      return "kSampleOfOtherKind";
    case TrainerStatus::kLabelOutOfRange:
      return "kLabelOutOfRange";
    case TrainerStatus::kTargetNotFinite:
      return "kTargetNotFinite";
    case TrainerStatus::kTargetOutOfRange:
      return "kTargetOutOfRange";
    case TrainerStatus::kLabelOfOtherKind:
      return "kLabelOfOtherKind";
    case TrainerStatus::kNothingToCommitTo:
      return "kNothingToCommitTo";
    case TrainerStatus::kBadProgress:
      return "kBadProgress";
    case TrainerStatus::kLossNotFinite:
      return "kLossNotFinite";
    case TrainerStatus::kGradientsNotFinite:
      return "kGradientsNotFinite";
    case TrainerStatus::kCommitFailed:
      return "kCommitFailed";
    case TrainerStatus::kOpFailed:
      return "kOpFailed";
    case TrainerStatus::kEpochDiscarded:
      return "kEpochDiscarded";
    case TrainerStatus::kStoreFailed:
      return "kStoreFailed";
    case TrainerStatus::kBadName:
      return "kBadName";
    case TrainerStatus::kNameTaken:
      return "kNameTaken";
    case TrainerStatus::kNoSpareClass:
      return "kNoSpareClass";
    case TrainerStatus::kNoFactoryCopy:
      return "kNoFactoryCopy";
    case TrainerStatus::kNoHeldSamples:
      return "kNoHeldSamples";
  }
  return "unknown";
}

}  // namespace medyate
