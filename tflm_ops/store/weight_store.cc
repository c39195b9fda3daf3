#include "tflm_ops/store/weight_store.h"

#include "tflm_ops/store/flash_io.h"
#include "tflm_ops/store/packed_runs.h"

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
      "kOtherLayout",
  };
  static_assert(
      sizeof(kNames) / sizeof(kNames[0]) == static_cast<uint32_t>(StoreStatus::kOtherLayout) + 1,
      "every status has a name");
  const uint32_t i = static_cast<uint32_t>(status);
  return i < sizeof(kNames) / sizeof(kNames[0]) ? kNames[i] : "unknown";
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
  // A head of all images without records has to fit, with all its CRCs and erase counts.
  const uint64_t tables =
      uint64_t{config_.weight_pages} * 3 + config_.journal_pages + RunsHeadWords();
  const bool packs =
      config_.run_pages == 0 ||
      (config_.weight_pages < kNone && config_.weight_pages * bytes / 4 <= kMostPackedWeights &&
       bytes / 4 <= kMostRunWords);
  return packs && weights % bytes == 0 && journal % bytes == 0 && apart &&
         weights_end <= 0x100000000u && journal_end <= 0x100000000u && config_.weight_pages >= 1 &&
         config_.journal_pages >= 3 && tables < bytes / 4 &&
         HeadFits(flash_->page_bytes(), kHeaderWords + static_cast<uint32_t>(tables));
}

// Takes the newest committed head.
//
// Args:
//   mends: also one with a flipped bit.
void WeightStore::FindHead(bool mends) {
  has_head_ = false;
  for (uint32_t page = 0; page < config_.journal_pages; ++page) {
    HeadPage candidate(flash_, Journal(page));
    if (!candidate.Load(mends)) {
      is_old_layout_ |= candidate.header().magic == kFirstMagic;
      continue;
    }
    const uint32_t sequence = candidate.header().sequence;
    if (sequence > latest_) latest_ = sequence;
    if ((has_head_ && sequence <= head_.header().sequence) || !candidate.Committed()) continue;
    head_ = candidate;
    head_page_ = page;
    has_head_ = true;
  }
}

// Whether there were commits behind the head that was found.
bool WeightStore::IsLost() const {
  if (has_head_) return head_.IsSuperseded();
  // Head 1 is written before there is anything to lose; a later one means that there was.
  if (latest_ > 1) return true;
  for (uint32_t page = 0; page < config_.journal_pages; ++page) {
    // Marks without a header: only decay does that.
    if (HeadPage(flash_, Journal(page)).Committed()) return true;
  }
  return false;
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

// Makes sure that no other head ever counts again: one that cannot be read now might be readable
// at the next start. First the commit marks, so that none reads as committed and not done.
void WeightStore::KillOthers() {
  for (uint32_t page = 0; page < config_.journal_pages; ++page) {
    HeadPage other(flash_, Journal(page));
    if ((has_head_ && page == head_page_) || !other.Committed()) continue;
    if (other.KillCommit()) other.KillDone();
  }
}

bool WeightStore::IsForeign() const {
  const HeadHeader& h = head_.header();
  return h.model_hash[0] != config_.model_hash[0] || h.model_hash[1] != config_.model_hash[1] ||
         h.weights_offset != config_.weights_offset || h.weight_pages != config_.weight_pages ||
         h.journal_pages != config_.journal_pages;
}

StoreStatus WeightStore::Open(ForeignState foreign) {
  detail_ = {};
  latest_ = 0;
  done_is_certain_ = has_head_ = is_old_layout_ = is_replacing_ = false;
  blocked_ = StoreStatus::kNotOpen;
  if (!IsConfigSound()) return Block(StoreStatus::kBadConfig);
  FindHead(false);
  if (!has_head_ || head_.IsSuperseded()) FindHead(true);
  if (!KillUnfinished()) return Block(StoreStatus::kJournalFailed);
  const bool is_lost = IsLost();
  if (!has_head_ && !is_lost && !is_old_layout_) return StartOver();
  const StoreStatus status = is_lost     ? StoreStatus::kJournalDamaged
                             : has_head_ ? OpenHead()
                                         : StoreStatus::kOtherLayout;
  const bool is_foreign = is_lost || status == StoreStatus::kOtherLayout ||
                          status == StoreStatus::kOtherModel ||
                          status == StoreStatus::kWeightsChanged;
  return is_foreign && foreign == ForeignState::kDropLearned ? StartOver() : Block(status);
}

// Completes the commit that was found, or checks that the weights are its result.
StoreStatus WeightStore::OpenHead() {
  if (IsForeign()) return StoreStatus::kOtherModel;
  const StoreStatus status = head_.Done() ? StoreStatus::kOk : Replay(false);
  return status == StoreStatus::kOk ? Heal() : status;
}

bool WeightStore::IsFactory() const {
  uint32_t crc = 0;
  return FlashCrc(*flash_, config_.weights_offset, 4 * WeightWords(), &crc) &&
         crc == config_.factory_crc;
}

// Writes a head without images that says: the weights in flash are the model's.
StoreStatus WeightStore::StartOver() {
  if (config_.has_factory_crc && !IsFactory()) return Block(StoreStatus::kWeightsChanged);
  KillOthers();
  detail_ = {};
  noted_ = 0;
  next_ = {};
  const Change nothing = {};
  const StoreStatus status = CheckRoom(nothing, Base::kFlash);
  return Block(status == StoreStatus::kOk ? WriteOut(nothing, Base::kFlash) : status);
}

bool WeightStore::ReadRecord(const char* name, void* data, uint32_t room, uint32_t* bytes) const {
  return HasRecords() && medyate::ReadRecord(head_, name, data, room, bytes);
}

}  // namespace medyate
