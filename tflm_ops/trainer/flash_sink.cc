#include "tflm_ops/trainer/flash_sink.h"

#include "tflm_ops/store/crc32.h"

namespace medyate {
namespace {

const uint32_t kPageFloats = 1024;
const uint32_t kPageBytes = 4 * kPageFloats;

bool HasRightPages(const Flash* flash) { return flash && flash->page_bytes() == kPageBytes; }

}  // namespace

FlashSink::FlashSink(const StaticModel& model, const FlashPlace& place)
    : model_(model),
      place_(place),
      images_(model.weights_floats / kPageFloats),
      run_pages_(place.run_pages),
      store_(place.flash, ConfigOf(), page_) {}

StoreConfig FlashSink::ConfigOf() const {
  return {{model_.hash[0], model_.hash[1]},
          place_.weights_offset,
          model_.weights_floats / kPageFloats,
          place_.journal_offset,
          place_.journal_pages,
          place_.cycle_limit,
          true,
          model_.weights_crc,
          model_.factory,
          place_.run_pages};
}

StoreStatus FlashSink::Open(ForeignState foreign) {
  counts_ = false;
  if (!place_.flash) {
    status_ = StoreStatus::kNotOpen;
  } else {
    status_ = HasRightPages(place_.flash) ? store_.Open(foreign) : StoreStatus::kBadConfig;
  }
  return status_;
}

StoreStatus FlashSink::Change(const medyate::Change& change) {
  counts_ = false;
  // A store that cannot be used stays so; it says why.
  if (!HasRightPages(place_.flash)) return status_;
  const uint32_t before = store_.sequence();
  return Counted(store_.Commit(change), before);
}

StoreStatus FlashSink::Restore(const RecordChange* records, uint32_t record_count) {
  counts_ = false;
  if (!HasRightPages(place_.flash)) return status_;
  const uint32_t before = store_.sequence();
  const Bulk none = {nullptr, 0};
  return Counted(store_.Restore(records, record_count, &none), before);
}

// From its commit mark on a change counts, whatever fails after it; the next start finds it, or
// what was to be put in place is safe in the journal.
StoreStatus FlashSink::Counted(StoreStatus status, uint32_t sequence_before) {
  status_ = status;
  counts_ = status == StoreStatus::kOk || store_.sequence() != sequence_before;
  return status;
}

CommitResult FlashSink::Commit(const CommitRequest& request) {
  const RecordChange record = {kProgressRecord, &request.progress, sizeof(request.progress)};
  const Bulk importance = {request.importance, request.importance_floats};
  const StoreStatus status =
      Change({request.runs, request.pool, request.pool_floats, &record, 1, &importance});
  if (counts_) {
    images_ = store_.detail().images;
    run_pages_ = (store_.detail().run_words + kPageFloats - 1) / kPageFloats;
    return CommitResult::kOk;
  }
  return status == StoreStatus::kNotFinite ? CommitResult::kNotFinite : CommitResult::kFailed;
}

const float* FlashSink::weights() const {
  // What lies there changes, whatever `const` says: no compiler may see an initializer behind it.
  const float* volatile hidden = place_.flash && place_.weights ? place_.weights : model_.weights;
  return hidden;
}

bool FlashSink::ReadProgress(Progress* progress) const {
  Progress read;
  uint32_t bytes = 0;
  if (!store_.ReadRecord(kProgressRecord, &read, sizeof(read), &bytes) || bytes != sizeof(read)) {
    return false;
  }
  *progress = read;
  return true;
}

bool FlashSink::ReadImportance(float* importance, uint32_t floats) const {
  return store_.ReadBulk(importance, floats);
}

bool FlashSink::are_weights_committed() const {
  return status_ == StoreStatus::kOk || (HasRightPages(place_.flash) && store_.AreWeightsRight());
}

bool FlashSink::are_weights_sound() const {
  return are_weights_committed() ||
         Crc32(0, weights(), 4 * model_.weights_floats) == model_.weights_crc;
}

uint32_t FlashSink::CommitsLeft() {
  if (!HasRightPages(place_.flash)) return 0;
  if (place_.cycle_limit == 0) return 0xffffffffu;
  FlashTraits traits = kNrf52840Traits;
  traits.cycles = place_.cycle_limit;
  const uint32_t* counts = store_.EraseCounts();
  if (!counts) return 0;
  return medyate::CommitsLeft(traits, counts, model_.weights_floats / kPageFloats,
                              place_.journal_pages, images_,
                              ImportancePages(ImportanceFloats(model_)), run_pages_);
}

}  // namespace medyate
