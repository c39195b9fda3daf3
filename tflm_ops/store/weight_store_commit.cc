// The commits of the weight store: checks, the journal's images and head, and the replacement of
// the weight pages.

#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/flash_io.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {
namespace {

const int kTries = 3;  // Of a weight page that does not read back as it was written.

uint32_t CountOf(const RunList* runs) { return runs ? runs->count() : 0; }

// The part of a run that lies in words first .. first + words - 1 of the weights.
struct Part {
  uint32_t pool_offset;
  uint32_t word;  // From `first` on.
  uint32_t length;
};

Part PartWithin(const WeightRun& run, uint32_t first, uint32_t words) {
  const uint32_t begin = run.weight_offset > first ? run.weight_offset : first;
  const uint32_t run_end = run.weight_offset + run.length, end = first + words;
  const uint32_t last = run_end < end ? run_end : end;
  if (begin >= last) return {0, 0, 0};
  return {run.pool_offset + (begin - run.weight_offset), begin - first, last - begin};
}

// words = words + values, or values. False if a result is not finite.
bool Apply(RunMode mode, const float* values, uint32_t n, uint32_t* words) {
  for (uint32_t i = 0; i < n; ++i) {
    // By memcpy: flash is read as words, and a pool may be the words of a sparse delta.
    float weight, value;
    memcpy(&weight, &words[i], sizeof(weight));
    memcpy(&value, &values[i], sizeof(value));
    const float result = mode == RunMode::kAdd ? weight + value : value;
    if (!math::IsFinite(result)) return false;
    memcpy(&words[i], &result, sizeof(result));
  }
  return true;
}

}  // namespace

StoreStatus WeightStore::Commit(const Change& change) {
  if (blocked_ != StoreStatus::kOk) return blocked_;
  detail_ = {};
  is_replacing_ = false;
  const StoreStatus status = Check(change);
  if (status != StoreStatus::kOk) return status;
  if (detail_.images == 0 && change.record_count == 0) return StoreStatus::kOk;
  return Write(change, false);
}

StoreStatus WeightStore::Failed(StoreStatus status, uint32_t offset) {
  detail_.failed_offset = offset;
  return status;
}

// All that can be wrong before the first byte is written.
StoreStatus WeightStore::Check(const Change& change) {
  const StoreStatus status = CheckRuns(change);
  if (status != StoreStatus::kOk) return status;
  if (!AreValid(change.records, change.record_count)) return StoreStatus::kBadRecord;
  const StoreStatus room = CheckRoom(change);
  if (room != StoreStatus::kOk) return room;
  const StoreStatus wear = CheckWear(change);
  return wear != StoreStatus::kOk ? wear : CheckImages(change);
}

// Whether images and head fit the journal.
StoreStatus WeightStore::CheckRoom(const Change& change) {
  detail_.images = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) detail_.images += Touches(change, p) ? 1 : 0;
  // The pages of this transaction, and the last head.
  detail_.journal_bytes = (detail_.images + 2) * flash_->page_bytes();
  if (detail_.images + 2 > config_.journal_pages) return StoreStatus::kJournalTooSmall;
  const uint32_t head_words = EntryWord(detail_.images) + config_.weight_pages +
                              config_.journal_pages +
                              ChangeRecords(head_, change.records, change.record_count, nullptr, 0);
  detail_.head_bytes = 4 * head_words;
  return HeadFits(flash_->page_bytes(), head_words) ? StoreStatus::kOk : StoreStatus::kHeadFull;
}

StoreStatus WeightStore::CheckRuns(const Change& change) {
  const uint64_t weights = uint64_t{config_.weight_pages} * (flash_->page_bytes() / 4);
  for (uint32_t i = 0; i < CountOf(change.runs); ++i) {
    const WeightRun run = change.runs->run(i);
    if (uint64_t{run.pool_offset} + run.length > change.pool_floats ||
        uint64_t{run.weight_offset} + run.length > weights) {
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
  for (uint32_t i = 0; i <= detail_.images; ++i) {
    const uint32_t page = i == 0 ? NextPage() : NextImage(i - 1);
    if (page_[config_.weight_pages + page] < config_.cycle_limit) continue;
    return Failed(StoreStatus::kWornOut, Journal(page));
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
  if (!flash_->Read(Weights(page), page_, words)) return StoreStatus::kJournalFailed;
  for (uint32_t i = 0; i < CountOf(change.runs); ++i) {
    const Part part = PartWithin(change.runs->run(i), page * words, words);
    if (part.length == 0) continue;
    if (!Apply(change.mode, change.pool + part.pool_offset, part.length, page_ + part.word)) {
      detail_.run = i;
      return StoreStatus::kNotFinite;
    }
  }
  return StoreStatus::kOk;
}

// One transaction. `start_over` if the journal does not belong to the weights in flash.
StoreStatus WeightStore::Write(const Change& change, bool start_over) {
  bool noted = false;
  if (has_head_ && !start_over && !OpenJournal(&noted)) return StoreStatus::kJournalFailed;
  const StoreStatus status = WriteImages(change);
  return status == StoreStatus::kOk ? WriteHead(change, start_over, noted) : status;
}

// Makes sure that the images of the last transaction may be overwritten, and notes the erases.
bool WeightStore::OpenJournal(bool* noted) {
  // A done mark found after a restart may be a torn one: make it certain.
  if (!done_is_certain_ && !head_.AddDone()) return false;
  done_is_certain_ = true;
  *noted = head_.AddNote(Note::kEraseJournal, 1 + detail_.images);
  return true;
}

// The head of the transaction whose images lie in the journal; commits it and puts it in place.
StoreStatus WeightStore::WriteHead(const Change& change, bool start_over, bool noted) {
  const uint32_t next = NextPage();
  HeadHeader header;
  HeadPage head(flash_, Journal(next));
  if (!ComposeHead(change, start_over, noted, &header) ||
      !ReplacePage(flash_, Journal(next), page_, header.head_words) || !head.Load()) {
    return Failed(StoreStatus::kJournalFailed, Journal(next));
  }
  if (!head.AddCommit()) {
    head.KillCommit();
    return Failed(StoreStatus::kJournalFailed, Journal(next));
  }
  head_ = head;
  head_page_ = next;
  has_head_ = true;
  return Block(Replay(true));
}

StoreStatus WeightStore::WriteImages(const Change& change) {
  uint32_t image = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    if (!Touches(change, p)) continue;
    const StoreStatus status = Compose(change, p);
    if (status != StoreStatus::kOk) return status;
    const uint32_t offset = Journal(NextImage(image++));
    if (!ReplacePage(flash_, offset, page_, flash_->page_bytes() / 4)) {
      return Failed(StoreStatus::kJournalFailed, offset);
    }
  }
  return StoreStatus::kOk;
}

// The head of the next transaction, in the page buffer. The images lie in the journal by now.
bool WeightStore::ComposeHead(const Change& change, bool start_over, bool noted,
                              HeadHeader* header) {
  HeadHeader& h = *header;
  h = {};
  h.magic = kHeadMagic;
  h.version = kJournalVersion;
  h.sequence = sequence() + 1;
  h.model_hash[0] = config_.model_hash[0];
  h.model_hash[1] = config_.model_hash[1];
  h.weights_offset = config_.weights_offset;
  h.weight_pages = config_.weight_pages;
  h.journal_pages = config_.journal_pages;
  h.images = detail_.images;
  h.spared_page = has_head_ ? head_page_ : NextPage();
  uint32_t* counts = page_ + CountsWord(h);
  if (!TabulatePages(change, header) || !LoadCounts(counts)) return false;
  if (!noted) CountJournal(1 + h.images, counts);
  const HeadPage none;
  h.record_words = ChangeRecords(start_over ? none : head_, change.records, change.record_count,
                                 page_ + RecordsWord(h), flash_->page_bytes() / 4 - RecordsWord(h));
  h.head_words = RecordsWord(h) + h.record_words;
  memcpy(page_, &h, sizeof(h));
  h.crc = HeadCrc(page_, h.head_words);
  memcpy(page_, &h, sizeof(h));
  return true;
}

// Fills the head's table of images, and the CRCs over all pages and over those that stay.
bool WeightStore::TabulatePages(const Change& change, HeadHeader* header) {
  const uint32_t bytes = flash_->page_bytes();
  uint32_t image = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    if (!Touches(change, p)) {
      if (!FlashCrc(*flash_, Weights(p), bytes, &header->weights_crc) ||
          !FlashCrc(*flash_, Weights(p), bytes, &header->rest_crc)) {
        return false;
      }
      continue;
    }
    const uint32_t offset = Journal(NextImage(image));
    uint32_t crc = 0;
    if (!FlashCrc(*flash_, offset, bytes, &crc) ||
        !FlashCrc(*flash_, offset, bytes, &header->weights_crc)) {
      return false;
    }
    page_[EntryWord(image)] = p;
    page_[EntryWord(image) + 1] = crc;
    ++image;
  }
  return true;
}

// Puts the images of the committed transaction in place and marks it done.
//
// Args:
//   is_new: this start wrote the commit mark. Otherwise it was found, may be a torn one, and is
//     made certain before the first page changes.
StoreStatus WeightStore::Replay(bool is_new) {
  done_is_certain_ = false;
  if (!is_new) {
    if (!RestIsRight()) return StoreStatus::kWeightsChanged;
    if (!head_.AddCommit()) return StoreStatus::kNotClosed;
  }
  if (head_.header().images > 0) head_.AddNote(Note::kEraseWeights, kAllImages);
  StoreStatus result = StoreStatus::kOk;
  for (uint32_t i = 0; i < head_.header().images; ++i) {
    ImageEntry entry;
    if (!head_.ReadEntry(i, &entry)) return StoreStatus::kNotClosed;
    const StoreStatus status = PutInPlace(i, entry);
    if (status != StoreStatus::kOk) result = status;
  }
  if (result != StoreStatus::kOk) return result;
  if (!head_.AddDone()) return StoreStatus::kNotClosed;
  done_is_certain_ = true;
  return StoreStatus::kOk;
}

StoreStatus WeightStore::PutInPlace(uint32_t image, const ImageEntry& entry) {
  const uint32_t words = flash_->page_bytes() / 4;
  const uint32_t from = Journal(ImagePage(head_page_, head_.header().spared_page, image,
                                          config_.journal_pages)),
                 to = Weights(entry.page);
  if (!flash_->Read(from, page_, words) || entry.page >= config_.weight_pages ||
      Crc32(0, page_, 4 * words) != entry.crc) {
    return Failed(StoreStatus::kJournalDamaged, from);
  }
  for (int i = 0; i < kTries; ++i) {
    if (i > 0) head_.AddNote(Note::kEraseWeights, image);
    if (ReplacePage(flash_, to, page_, words)) return StoreStatus::kOk;
  }
  detail_.image_offset = from;
  return Failed(StoreStatus::kWeightsFailed, to);
}

// Whether the weight pages that the transaction leaves alone are what they were when it began: not
// if the device was flashed anew in the middle of it.
bool WeightStore::RestIsRight() const {
  uint32_t crc = 0, image = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    ImageEntry entry;
    if (image < head_.header().images) {
      if (!head_.ReadEntry(image, &entry)) return false;
      if (entry.page == p) {
        ++image;
        continue;
      }
    }
    if (!FlashCrc(*flash_, Weights(p), flash_->page_bytes(), &crc)) return false;
  }
  return crc == head_.header().rest_crc;
}

}  // namespace medyate
