#ifndef TFLM_OPS_ARDUINO_BEGIN_H_
#define TFLM_OPS_ARDUINO_BEGIN_H_

// Starting a trainer on a board that people upload new sketches to.

#include "tflm_ops/trainer/trainer.h"

namespace medyate {

// Trainer::Begin; but right after an upload, when flash holds new weights and a journal of old
// ones, it starts over. The store does so only where the weights are those of the sketch,
// untouched: nothing that was learned with them can get lost.
//
// Args:
//   is_new: whether it started over; written.
inline TrainerStatus BeginAfterUpload(Trainer* trainer, bool* is_new) {
  *is_new = false;
  TrainerStatus status = trainer->Begin();
  if (status != TrainerStatus::kStoreFailed) return status;
  const StoreStatus store = trainer->store_status();
  if (store == StoreStatus::kOtherModel || store == StoreStatus::kOtherLayout ||
      store == StoreStatus::kWeightsChanged || store == StoreStatus::kJournalDamaged) {
    status = trainer->Begin(ForeignState::kDropLearned);
    *is_new = status == TrainerStatus::kOk;
  }
  return status;
}

}  // namespace medyate

#endif  // TFLM_OPS_ARDUINO_BEGIN_H_
