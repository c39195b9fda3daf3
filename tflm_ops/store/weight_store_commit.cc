// The commits of the weight store: checks, and the journal's images and bulk data.

#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/store/flash_io.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {
namespace {

const uint32_t kSparedNotes = 2;  // For the erases of a head that makes room for more notes.

}  // namespace

bool WeightStore::AreFinite(const uint32_t* words, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    float weight;
    memcpy(&weight, &words[i], sizeof(weight));
    if (!math::IsFinite(weight)) return false;
  }
  return true;
}

StoreStatus WeightStore::Commit(const Change& change) {
  if (blocked_ != StoreStatus::kOk) return blocked_;
  detail_ = {};
  is_replacing_ = false;
  next_ = {};
  const StoreStatus status = Check(change);
  if (status != StoreStatus::kOk) return status;
  if (detail_.images == 0 && change.record_count == 0 && !change.bulk) return StoreStatus::kOk;
  return Write(change);
}

StoreStatus WeightStore::Failed(StoreStatus status, uint32_t offset) {
  detail_.failed_offset = offset;
  return status;
}

// --- all that can be wrong before the first byte is written

StoreStatus WeightStore::Check(const Change& change) {
  const StoreStatus status = CheckRuns(change);
  if (status != StoreStatus::kOk) return status;
  if (!AreValid(change.records, change.record_count)) return StoreStatus::kBadRecord;
  const StoreStatus room = CheckRoom(change, Base::kLast);
  if (room != StoreStatus::kOk) return room;
  const StoreStatus wear = CheckWear(change);
  return wear != StoreStatus::kOk ? wear : CheckImages(change);
}

// Whether all of it fits the journal, with what must survive it.
StoreStatus WeightStore::CheckRoom(const Change& change, Base base) {
  const uint32_t bytes = flash_->page_bytes();
  detail_.images = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) detail_.images += Touches(change, p) ? 1 : 0;
  next_.bulk_words = change.bulk ? change.bulk->words : OldBulkWords(base);
  const uint32_t bulk = BulkPages(next_.bulk_words), old = OldBulkPages();
  const uint32_t others = 2 + bulk + (bulk > old ? bulk : old);  // Both heads, and bulk data.
  ChooseSource(change, others);
  const uint64_t pages = uint64_t{others} + BodyPages() + LeastSpares();
  const HeadPage none;
  const HeadPage& records = base == Base::kLast ? head_ : none;
  const uint32_t fixed_words =
      kHeaderWords + 2 * config_.weight_pages + config_.journal_pages + 2 * bulk +
      ChangeRecords(records, change.records, change.record_count, nullptr, 0);
  detail_.journal_bytes = static_cast<uint32_t>(pages * bytes);
  detail_.head_bytes = 4 * (fixed_words + detail_.images + 2 * next_.run_pages);
  if (pages > config_.journal_pages) return StoreStatus::kJournalTooSmall;
  // Records must leave room for commits of all pages.
  const uint64_t most_words = fixed_words + config_.weight_pages + RunsHeadWords();
  return most_words < bytes / 4 && HeadFits(bytes, static_cast<uint32_t>(most_words))
             ? StoreStatus::kOk
             : StoreStatus::kHeadFull;
}

// Whole images where they fit, for they wear the flash least; else runs, if there may be any.
void WeightStore::ChooseSource(const Change& change, uint32_t others) {
  next_.run_pages = detail_.run_words = 0;
  if (next_.source == Source::kFactory) return;
  next_.source = Source::kImages;
  const bool fits = uint64_t{others} + detail_.images <= config_.journal_pages;
  if (fits || !change.pool || config_.run_pages == 0) return;
  const uint32_t words = PackedWords(change), pages = BulkPages(words);
  if (pages > config_.run_pages) return;
  next_ = {Source::kRuns, pages, next_.bulk_words};
  detail_.run_words = words;
}

// Words of the bulk data that stay: 0 if they are damaged.
uint32_t WeightStore::OldBulkWords(Base base) const {
  if (base != Base::kLast) return 0;
  for (uint32_t i = 0; i < OldBulkPages(); ++i) {
    if (!LoadBulk(i)) return 0;
  }
  return head_.header().bulk_words;
}

StoreStatus WeightStore::CheckRuns(const Change& change) {
  for (uint32_t i = 0; i < CountOf(change.runs); ++i) {
    const WeightRun run = change.runs->run(i);
    if (!change.pool || uint64_t{run.pool_offset} + run.length > change.pool_floats ||
        uint64_t{run.weight_offset} + run.length > WeightWords()) {
      detail_.run = i;
      return StoreStatus::kBadRuns;
    }
  }
  return StoreStatus::kOk;
}

StoreStatus WeightStore::CheckWear(const Change& change) {
  if (config_.cycle_limit == 0) return StoreStatus::kOk;
  if (!LoadCounts(page_)) return StoreStatus::kJournalFailed;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    if (page_[p] < config_.cycle_limit || !Touches(change, p)) continue;
    return Failed(StoreStatus::kWornOut, Weights(p));
  }
  const uint32_t spares = SparePages();
  for (uint32_t i = 0; i < NewPages() + spares; ++i) {
    // Erases after the first.
    const uint32_t more = i < NewPages() ? 0 : (detail_.images - 1) / spares;
    if (page_[config_.weight_pages + NewPage(i)] + more < config_.cycle_limit) continue;
    return Failed(StoreStatus::kWornOut, Journal(NewPage(i)));
  }
  return StoreStatus::kOk;
}

StoreStatus WeightStore::CheckImages(const Change& change) {
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    if (!Touches(change, p)) continue;
    const StoreStatus status = Compose(change, p);
    if (status != StoreStatus::kOk) return status;
  }
  return StoreStatus::kOk;
}

bool WeightStore::Touches(const Change& change, uint32_t page) const {
  const uint32_t words = flash_->page_bytes() / 4;
  for (uint32_t i = 0; i < CountOf(change.runs); ++i) {
    if (PartWithin(change.runs->run(i), page * words, words).length > 0) return true;
  }
  return false;
}

// The new image of a weight page, in the page buffer.
StoreStatus WeightStore::Compose(const Change& change, uint32_t page) {
  const uint32_t words = flash_->page_bytes() / 4;
  if (!LoadWeights(page)) return Failed(StoreStatus::kWeightsChanged, Weights(page));
  for (uint32_t i = 0; change.pool && i < CountOf(change.runs); ++i) {
    const RunPart part = PartWithin(change.runs->run(i), page * words, words);
    memcpy(page_ + part.word, change.pool + part.pool_offset, 4 * part.length);
    if (!AreFinite(page_ + part.word, part.length)) {
      detail_.run = i;
      return StoreStatus::kNotFinite;
    }
  }
  // The rest of the page, too: that is what tells images from heads.
  return AreFinite(page_, words) ? StoreStatus::kOk : StoreStatus::kNotFinite;
}

// --- the journal

// One transaction on top of the last one.
StoreStatus WeightStore::Write(const Change& change) {
  const StoreStatus status = OpenJournal(change);
  return status == StoreStatus::kOk ? WriteOut(change, Base::kLast) : status;
}

// The same without a look at the last one.
StoreStatus WeightStore::WriteOut(const Change& change, Base base) {
  StoreStatus status = next_.source == Source::kRuns ? WriteRuns(change) : WriteImages(change);
  if (status == StoreStatus::kOk) status = WriteBulk(change);
  return status == StoreStatus::kOk ? WriteHead(change, base) : status;
}

// Makes sure that the images of the last transaction may be overwritten, and notes the erases.
StoreStatus WeightStore::OpenJournal(const Change& change) {
  // A done mark found after a restart may be a torn one: make it certain.
  if (!done_is_certain_ && !head_.AddDone(1)) return StoreStatus::kJournalFailed;
  done_is_certain_ = true;
  return NoteErases(change);
}

// Notes the erases of the journal in the last head; if that is full, in a new one, which has
// counted what was noted before.
StoreStatus WeightStore::NoteErases(const Change& change) {
  if (!has_head_ || head_.NotesLeft() <= kSparedNotes) {
    const StoreDetail detail = detail_;
    const Next next = next_;
    next_ = {};
    StoreStatus status = WriteEmptyHead();
    if (status != StoreStatus::kOk) return status;
    detail_ = detail;
    next_ = next;
    status = CheckWear(change);
    if (status != StoreStatus::kOk) return status;
  }
  noted_ = head_.AddNote(Note::kEraseJournal, NewPages()) ? NewPages() : 0;
  return StoreStatus::kOk;
}

// A transaction that changes nothing. The state is what it was, whatever it was.
StoreStatus WeightStore::WriteEmptyHead() {
  const Change nothing = {};
  const Base base = HasRecords() ? Base::kLast : Base::kNobody;
  StoreStatus status = CheckRoom(nothing, base);
  if (status == StoreStatus::kOk) status = CheckWear(nothing);
  if (status != StoreStatus::kOk) return status;
  noted_ = has_head_ && head_.AddNote(Note::kEraseJournal, NewPages()) ? NewPages() : 0;
  const StoreStatus blocked = blocked_;
  status = WriteOut(nothing, base);
  if (status == StoreStatus::kOk) blocked_ = blocked;
  return status;
}

StoreStatus WeightStore::WriteImages(const Change& change) {
  uint32_t image = 0;
  for (uint32_t p = 0; p < config_.weight_pages && next_.source == Source::kImages; ++p) {
    if (!Touches(change, p)) continue;
    const StoreStatus status = Compose(change, p);
    if (status != StoreStatus::kOk) return status;
    const uint32_t offset = Journal(NewPage(1 + image++));
    if (!ReplacePage(flash_, offset, page_, flash_->page_bytes() / 4)) {
      return Failed(StoreStatus::kJournalFailed, offset);
    }
  }
  return StoreStatus::kOk;
}

// New bulk data, or a copy of those that stay.
StoreStatus WeightStore::WriteBulk(const Change& change) {
  for (uint32_t i = 0; i < BulkPages(next_.bulk_words); ++i) {
    const uint32_t words = BulkPart(next_.bulk_words, i);
    const uint32_t offset = Journal(NewPage(1 + BodyPages() + i));
    if (change.bulk) {
      const char* data = static_cast<const char*>(change.bulk->data);
      memcpy(page_, data + i * flash_->page_bytes(), 4 * words);
    } else if (!LoadBulk(i)) {
      return Failed(StoreStatus::kJournalFailed, offset);
    }
    if (!ReplacePage(flash_, offset, page_, words)) {
      return Failed(StoreStatus::kJournalFailed, offset);
    }
  }
  return StoreStatus::kOk;
}

}  // namespace medyate
