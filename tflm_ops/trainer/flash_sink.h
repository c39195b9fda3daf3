#ifndef TFLM_OPS_TRAINER_FLASH_SINK_H_
#define TFLM_OPS_TRAINER_FLASH_SINK_H_

// Commits of a StepTrainer go into flash, along with what a start needs to go on from there.

#include <stdint.h>

#include "tflm_ops/store/flash.h"
#include "tflm_ops/store/wear.h"
#include "tflm_ops/store/weight_store.h"
#include "tflm_ops/trainer/static_model.h"
#include "tflm_ops/trainer/step_trainer.h"

namespace medyate {

// What goes into flash along with the weights: a struct Progress. The importances are the bulk
// data, so that there is room for those of any number of channels.
constexpr char kProgressRecord[] = "progress";

// Where a model's weights and journal lie. The flash is null on boards that forget.
struct FlashPlace {
  Flash* flash;             // With pages of 4 KiB.
  uint32_t weights_offset;  // Of the weights region, in the flash's own bytes.
  uint32_t journal_offset;  // Of the journal's first page.
  uint32_t journal_pages;   // JournalPages; more of them last longer.
  const float* weights;     // Where the region is read; null: where the model says.
  uint32_t cycle_limit;     // Erases that a page may see; 0 for no limit.
  uint32_t run_pages;       // Of packed runs, if the journal is too small for images; else 0.
};

// Pages of 4 KiB that importances take.
constexpr uint32_t ImportancePages(uint32_t importance_floats) {
  return (importance_floats + 1023) / 1024;
}

// Pages of a journal that takes any commit: head and weights, and both the old importances and the
// new ones beside the old head. With pages of packed runs it takes any commit of training, but no
// push of all weights: these pages and two spare ones in place of the weights.
constexpr uint32_t JournalPages(uint32_t weights_floats, uint32_t importance_floats,
                                uint32_t run_pages) {
  return (run_pages > 0 ? run_pages + 2 : weights_floats / 1024) + 2 +
         2 * ImportancePages(importance_floats);
}

class FlashSink final : public CommitSink {
 public:
  // Args:
  //   model: must outlive the sink.
  FlashSink(const StaticModel& model, const FlashPlace& place);
  FlashSink(const FlashSink&) = delete;
  FlashSink& operator=(const FlashSink&) = delete;

  // As WeightStore::Open. kBadConfig for a flash with other pages than of 4 KiB, too; kNotOpen
  // without a flash.
  StoreStatus Open(ForeignState foreign);

  // Weights, progress and importance, all or nothing.
  //
  // Returns:
  //   kOk if the commit counts, even if the flash failed afterwards: status() says so then, and
  //   are_weights_sound() whether they can be used as they are.
  CommitResult Commit(const CommitRequest& request) override;
  const float* weights() const override;

  // What the last commit said of progress. False if there was none.
  bool ReadProgress(Progress* progress) const;

  // Its importance, [floats]. False if it is not there, has another size, or is damaged: what is
  // there then is of no use.
  bool ReadImportance(float* importance, uint32_t floats) const;

  // A change of the weights or records that is not training's. See counts().
  StoreStatus Change(const medyate::Change& change);

  // All weights become the factory's, whatever state the store is in, and records change. The
  // importances are forgotten. See counts().
  StoreStatus Restore(const RecordChange* records, uint32_t record_count);

  // Whether the last change or commit counts: flash holds it, or will from the next start on.
  bool counts() const { return counts_; }

  // Whether the weights are those of the last commit, bit for bit, so that its records belong to
  // them.
  bool are_weights_committed() const;

  // Whether the weights are those of the last commit or of the factory, bit for bit. They are not
  // if a page of them failed, or if they were changed behind the store's back.
  bool are_weights_sound() const;

  WeightStore& store() { return store_; }
  const WeightStore& store() const { return store_; }

  // Of the last call that went to the store.
  StoreStatus status() const { return status_; }

  // At least so many commits like the last one until the flash is worn out; like the largest one
  // before there was one. 0 if the store cannot be used, the largest number without a limit.
  uint32_t CommitsLeft();

 private:
  StoreConfig ConfigOf() const;
  StoreStatus Counted(StoreStatus status, uint32_t sequence_before);

  const StaticModel& model_;
  FlashPlace place_;
  StoreStatus status_ = StoreStatus::kNotOpen;
  bool counts_ = false;
  uint32_t images_;      // Weight pages that the last commit changed,
  uint32_t run_pages_;   // and pages of runs that it took.
  uint32_t page_[1024];  // Of 4 KiB: that of the flashes we know.
  WeightStore store_;
};

}  // namespace medyate

#endif  // TFLM_OPS_TRAINER_FLASH_SINK_H_
