// The weight store's replacement of all weights, by words that come in parts or by the factory
// copy. It asks for nothing of what lies in flash, and so is the way out of everything that Open
// may find.

#include <string.h>

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/flash_io.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {
namespace {

// One run over all weights: touches every page.
class AllWeights final : public RunList {
 public:
  explicit AllWeights(uint32_t words) : words_(words) {}
  uint32_t count() const override { return 1; }
  WeightRun run(uint32_t) const override { return {0, 0, words_}; }

 private:
  uint32_t words_;
};

}  // namespace

StoreStatus WeightStore::Abandon(StoreStatus status) {
  is_replacing_ = false;
  return status;
}

// Whether there is no flash to speak of.
bool WeightStore::IsClosed() const {
  return blocked_ == StoreStatus::kNotOpen || blocked_ == StoreStatus::kBadConfig;
}

StoreStatus WeightStore::BeginReplace() {
  if (IsClosed()) return Abandon(blocked_);
  next_ = {};
  const AllWeights all(WeightWords());
  const StoreStatus status = BeginAll({&all, nullptr, 0, nullptr, 0, nullptr});
  if (status != StoreStatus::kOk) return status;
  appended_words_ = appended_crc_ = 0;
  is_replacing_ = true;
  return StoreStatus::kOk;
}

StoreStatus WeightStore::Restore(const RecordChange* records, uint32_t record_count,
                                 const Bulk* bulk) {
  if (IsClosed()) return Abandon(blocked_);
  if (!config_.factory) return StoreStatus::kBadRuns;
  if (!AreValid(records, record_count)) return StoreStatus::kBadRecord;
  uint32_t word;
  for (uint32_t i = 0; i < WeightWords(); ++i) {
    memcpy(&word, config_.factory + i, sizeof(word));
    if (!AreFinite(&word, 1)) return StoreStatus::kNotFinite;
  }
  next_ = {Source::kFactory, 0, 0};
  const AllWeights all(WeightWords());
  const Change change = {&all, nullptr, 0, records, record_count, bulk};
  const StoreStatus status = BeginAll(change);
  return status == StoreStatus::kOk ? WriteOut(change, ReplaceBase()) : status;
}

// Room, wear and the notes of a change of all weights.
StoreStatus WeightStore::BeginAll(const Change& change) {
  is_replacing_ = false;
  detail_ = {};
  StoreStatus status = CheckRoom(change, ReplaceBase());
  if (status == StoreStatus::kOk) status = CheckWear(change);
  if (status != StoreStatus::kOk) return status;
  if (blocked_ == StoreStatus::kOk) {
    status = OpenJournal(change);
  } else {
    // Nothing that lies there is worth a done mark.
    KillOthers();
    status = NoteErases(change);
  }
  return status;
}

// What records and bulk data are taken over from.
WeightStore::Base WeightStore::ReplaceBase() const {
  return HasRecords() ? Base::kLast : Base::kNobody;
}

StoreStatus WeightStore::Replace(const uint32_t* words, uint32_t count) {
  if (!is_replacing_) return blocked_ == StoreStatus::kNotOpen ? blocked_ : StoreStatus::kBadRuns;
  if (count > WeightWords() - appended_words_) return Abandon(StoreStatus::kBadRuns);
  if (!AreFinite(words, count)) return Abandon(StoreStatus::kNotFinite);
  const StoreStatus status = AppendWords(words, count);
  return status == StoreStatus::kOk ? status : Abandon(status);
}

// Writes words after those that lie in the journal's pages after the head.
StoreStatus WeightStore::AppendWords(const uint32_t* words, uint32_t count) {
  const uint32_t page_words = flash_->page_bytes() / 4;
  while (count > 0) {
    const uint32_t room = page_words - appended_words_ % page_words;
    const uint32_t part = count < room ? count : room;
    const StoreStatus status = WriteWords(words, part);
    if (status != StoreStatus::kOk) return status;
    words += part;
    count -= part;
  }
  return StoreStatus::kOk;
}

// Words of one page. It is erased before its first word.
StoreStatus WeightStore::WriteWords(const uint32_t* words, uint32_t count) {
  const uint32_t page_words = flash_->page_bytes() / 4;
  const uint32_t word = appended_words_ % page_words;
  const uint32_t offset = Journal(NewPage(1 + appended_words_ / page_words));
  if ((word == 0 && !ErasePage(flash_, offset)) ||
      !WriteVerified(flash_, offset + 4 * word, words, count)) {
    return Failed(StoreStatus::kJournalFailed, offset);
  }
  appended_crc_ = Crc32(appended_crc_, words, 4 * count);
  appended_words_ += count;
  return StoreStatus::kOk;
}

StoreStatus WeightStore::FinishReplace(const RecordChange* records, uint32_t record_count,
                                       const Bulk* bulk) {
  if (!is_replacing_) return blocked_ == StoreStatus::kNotOpen ? blocked_ : StoreStatus::kBadRuns;
  if (appended_words_ != WeightWords()) return Abandon(StoreStatus::kBadRuns);
  if (!AreValid(records, record_count)) return Abandon(StoreStatus::kBadRecord);
  const AllWeights all(WeightWords());
  const Change change = {&all, nullptr, 0, records, record_count, bulk};
  const Base base = ReplaceBase();
  StoreStatus status = CheckRoom(change, base);
  if (status != StoreStatus::kOk) return status;  // kHeadFull
  is_replacing_ = false;
  if (!ImagesAreRight()) return Failed(StoreStatus::kJournalFailed, Journal(NewPage(1)));
  status = WriteBulk(change);
  return status == StoreStatus::kOk ? WriteHead(change, base) : status;
}

// Whether the journal still holds what came.
bool WeightStore::ImagesAreRight() const {
  uint32_t crc = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    if (!FlashCrc(*flash_, Journal(NewPage(1 + p)), flash_->page_bytes(), &crc)) return false;
  }
  return crc == appended_crc_;
}

}  // namespace medyate
