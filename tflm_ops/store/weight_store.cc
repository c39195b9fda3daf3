#include "tflm_ops/store/weight_store.h"

#include "tflm_ops/store/flash_io.h"

namespace medyate {

const char* StatusName(StoreStatus status) {
  static const char* const kNames[] = {
      "kOk",
      "kNotOpen",
      "kBadConfig",
      "kBadRuns",
      "kBadRecord",
      "kNotFinite",
      "kJournalTooSmall",
      "kHeadFull",
      "kWornOut",
      "kOtherModel",
      "kWeightsChanged",
      "kJournalDamaged",
      "kJournalFailed",
      "kWeightsFailed",
      "kNotClosed",
  };
  static_assert(
      sizeof(kNames) / sizeof(kNames[0]) == static_cast<uint32_t>(StoreStatus::kNotClosed) + 1,
      "every status has a name");
  const uint32_t i = static_cast<uint32_t>(status);
  return i < sizeof(kNames) / sizeof(kNames[0]) ? kNames[i] : "unknown";
}

uint32_t WeightStore::Journal(uint32_t page) const {
  return config_.journal_offset + page * flash_->page_bytes();
}

uint32_t WeightStore::Weights(uint32_t page) const {
  return config_.weights_offset + page * flash_->page_bytes();
}

// The journal page of the next head: behind the last transaction.
uint32_t WeightStore::NextPage() const {
  if (!has_head_) return 0;
  const HeadHeader& h = head_.header();
  const uint32_t last = h.images == 0
                            ? head_page_
                            : ImagePage(head_page_, h.spared_page, h.images - 1, h.journal_pages);
  const uint32_t next = (last + 1) % config_.journal_pages;
  return next == head_page_ ? (next + 1) % config_.journal_pages : next;
}

// The journal page of the next transaction's images, which spare the last head.
uint32_t WeightStore::NextImage(uint32_t image) const {
  const uint32_t next = NextPage();
  return ImagePage(next, has_head_ ? head_page_ : next, image, config_.journal_pages);
}

StoreStatus WeightStore::Block(StoreStatus status) {
  blocked_ = status;
  return status;
}

bool WeightStore::IsConfigSound() const {
  const uint64_t bytes = flash_->page_bytes();
  if (!page_ || bytes == 0 || bytes % 4 != 0) return false;
  const uint64_t weights = config_.weights_offset, journal = config_.journal_offset;
  const uint64_t weights_end = weights + config_.weight_pages * bytes;
  const uint64_t journal_end = journal + config_.journal_pages * bytes;
  const bool apart = weights_end <= journal || journal_end <= weights;
  // A head without images or records has to fit, with all its erase counts.
  const uint64_t counts = uint64_t{config_.weight_pages} + config_.journal_pages;
  return weights % bytes == 0 && journal % bytes == 0 && apart && weights_end <= 0x100000000u &&
         journal_end <= 0x100000000u && config_.weight_pages >= 1 && config_.journal_pages >= 3 &&
         counts < bytes / 4 &&
         HeadFits(flash_->page_bytes(), kHeaderWords + static_cast<uint32_t>(counts));
}

// Takes the newest committed head. False if there is none.
//
// Args:
//   latest: the highest sequence number of any head, committed or not; overwritten.
bool WeightStore::FindHead(uint32_t* latest) {
  has_head_ = false;
  *latest = 0;
  for (uint32_t page = 0; page < config_.journal_pages; ++page) {
    HeadPage candidate(flash_, Journal(page));
    if (!candidate.Load()) continue;
    const uint32_t sequence = candidate.header().sequence;
    if (sequence > *latest) *latest = sequence;
    if ((has_head_ && sequence <= head_.header().sequence) || !candidate.Committed()) continue;
    head_ = candidate;
    head_page_ = page;
    has_head_ = true;
  }
  return has_head_;
}

// Makes sure that a transaction without a commit mark never has one: a torn mark that reads as
// missing now might read as there at the next start.
bool WeightStore::KillUnfinished() {
  for (uint32_t page = 0; page < config_.journal_pages; ++page) {
    HeadPage candidate(flash_, Journal(page));
    if (has_head_ && page == head_page_) continue;
    if (!candidate.Load() || candidate.header().sequence <= sequence()) continue;
    if (!candidate.KillCommit()) return false;
  }
  return true;
}

bool WeightStore::IsForeign() const {
  const HeadHeader& h = head_.header();
  return h.model_hash[0] != config_.model_hash[0] || h.model_hash[1] != config_.model_hash[1] ||
         h.weights_offset != config_.weights_offset || h.weight_pages != config_.weight_pages ||
         h.journal_pages != config_.journal_pages;
}

StoreStatus WeightStore::Open(ForeignState foreign) {
  detail_ = {};
  done_is_certain_ = false;
  has_head_ = false;
  is_replacing_ = false;
  blocked_ = StoreStatus::kNotOpen;
  if (!IsConfigSound()) return Block(StoreStatus::kBadConfig);
  uint32_t latest;
  const bool found = FindHead(&latest);
  if (!KillUnfinished()) return Block(StoreStatus::kJournalFailed);
  if (!found) {
    // Head 1 is written before there is anything to lose; a later one means that there was.
    if (latest > 1 && foreign == ForeignState::kRefuse) return Block(StoreStatus::kJournalDamaged);
    return StartOver();
  }
  const StoreStatus status = OpenHead();
  const bool is_foreign =
      status == StoreStatus::kOtherModel || status == StoreStatus::kWeightsChanged;
  return is_foreign && foreign == ForeignState::kDropLearned ? StartOver() : Block(status);
}

// Completes the commit that was found, or checks that the weights are its result.
StoreStatus WeightStore::OpenHead() {
  if (IsForeign()) return StoreStatus::kOtherModel;
  if (!head_.Done()) return Replay(false);
  return AreWeightsRight() ? StoreStatus::kOk : StoreStatus::kWeightsChanged;
}

bool WeightStore::AreWeightsRight() const {
  if (!has_head_ || IsForeign()) return false;
  uint32_t crc = 0;
  return FlashCrc(*flash_, config_.weights_offset, config_.weight_pages * flash_->page_bytes(),
                  &crc) &&
         crc == head_.header().weights_crc;
}

// Writes a head without images that says: the weights in flash are the model's.
StoreStatus WeightStore::StartOver() {
  if (config_.has_factory_crc) {
    uint32_t crc = 0;
    const bool is_read = FlashCrc(*flash_, config_.weights_offset,
                                  config_.weight_pages * flash_->page_bytes(), &crc);
    if (!is_read || crc != config_.factory_crc) return Block(StoreStatus::kWeightsChanged);
  }
  detail_ = {};
  return Block(Write({nullptr, RunMode::kAdd, nullptr, 0, nullptr, 0}, true));
}

bool WeightStore::ReadRecord(const char* name, void* data, uint32_t room, uint32_t* bytes) const {
  return blocked_ == StoreStatus::kOk && medyate::ReadRecord(head_, name, data, room, bytes);
}

const uint32_t* WeightStore::EraseCounts() {
  return has_head_ && LoadCounts(page_) ? page_ : nullptr;
}

// Erases of all pages, from the head and its notes; 0 where the head knows other pages.
bool WeightStore::LoadCounts(uint32_t* counts) const {
  const uint32_t pages = config_.weight_pages + config_.journal_pages;
  for (uint32_t i = 0; i < pages; ++i) counts[i] = 0;
  if (!has_head_) return true;
  const HeadHeader& h = head_.header();
  if (h.weight_pages != config_.weight_pages || h.journal_pages != config_.journal_pages) {
    return true;
  }
  if (!head_.ReadWords(CountsWord(h), counts, pages)) return false;
  CountNotes(counts);
  return true;
}

void WeightStore::CountNotes(uint32_t* counts) const {
  for (uint32_t i = 0; i < head_.NoteSlots(); ++i) {
    uint32_t value;
    if (head_.ReadNote(Note::kEraseWeights, i, &value)) {
      CountImages(value, counts);
    } else if (head_.ReadNote(Note::kEraseJournal, i, &value)) {
      CountJournal(value, counts);
    }
  }
}

// Counts one erase of the weight page of this image, or of all.
void WeightStore::CountImages(uint32_t image, uint32_t* counts) const {
  for (uint32_t i = 0; i < head_.header().images; ++i) {
    ImageEntry entry;
    if ((image == i || image == kAllImages) && head_.ReadEntry(i, &entry) &&
        entry.page < config_.weight_pages) {
      ++counts[entry.page];
    }
  }
}

// Counts one erase of the next transaction's first so many pages: head, images.
void WeightStore::CountJournal(uint32_t pages, uint32_t* counts) const {
  uint32_t* journal = counts + config_.weight_pages;
  for (uint32_t i = 0; i < pages && i < config_.journal_pages; ++i) {
    ++journal[i == 0 ? NextPage() : NextImage(i - 1)];
  }
}

}  // namespace medyate
