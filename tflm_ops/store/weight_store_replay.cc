// The weight store's last transaction: put in place, and mended where a bit has decayed.

#include <string.h>

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/flash_io.h"
#include "tflm_ops/store/packed_runs.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {
namespace {

const int kTries = 3;  // Of a weight page that does not read back as it was written.
const uint32_t kNowhere = 0xffffffffu;

}  // namespace

// Puts the images of the committed transaction in place and marks it done.
//
// Args:
//   is_new: this start wrote the commit mark. Otherwise it was found, may be a torn one, and is
//     made certain before the first page changes.
StoreStatus WeightStore::Replay(bool is_new) {
  done_is_certain_ = false;
  Held held = {kNone, 0};
  if (!is_new) {
    held = FindHeld();
    const StoreStatus status = CheckRest(held);
    if (status != StoreStatus::kOk) return status;
    if (!head_.AddCommit()) return StoreStatus::kNotClosed;
  }
  HeadPage previous(flash_, Journal(head_.header().previous_page));
  if (head_.header().previous_page != head_page_ && previous.Load()) previous.AddNext();
  const bool has_runs = head_.header().run_pages > 0;
  // What is held has to have room for its notes.
  if (head_.header().images > 0 &&
      (!has_runs || head_.NotesLeft() > head_.header().images + kHeldAgain)) {
    head_.AddNote(Note::kEraseWeights, kAllImages);
  }
  const StoreStatus result = has_runs ? PutRunsInPlace(is_new, held) : PutImagesInPlace();
  if (result != StoreStatus::kOk) return result;
  if (!head_.AddDone(2)) return StoreStatus::kNotClosed;
  done_is_certain_ = true;
  return StoreStatus::kOk;
}

StoreStatus WeightStore::PutImagesInPlace() {
  StoreStatus result = StoreStatus::kOk;
  for (uint32_t i = 0; i < head_.header().images; ++i) {
    const StoreStatus status = PutInPlace(i);
    if (status != StoreStatus::kOk) result = status;
  }
  return result;
}

StoreStatus WeightStore::PutInPlace(uint32_t image) {
  const uint32_t words = flash_->page_bytes() / 4;
  ImageEntry entry;
  uint32_t crc;
  if (!head_.ReadImage(image, &entry) || !head_.ReadPageCrc(entry.page, &crc)) {
    return StoreStatus::kNotClosed;
  }
  const bool is_factory = entry.journal_page == kFactoryPage;
  const uint32_t from = is_factory ? kNowhere : Journal(entry.journal_page);
  bool is_there;
  if (is_factory) {
    is_there = config_.factory != nullptr;
    if (is_there) memcpy(page_, config_.factory + entry.page * words, 4 * words);
  } else {
    is_there = flash_->Read(from, page_, words);
  }
  if (!is_there || !MendBit(page_, words, crc)) {
    // Without decay no image is lost before the done mark. The mark may be what has decayed.
    return IsPageRight(entry.page) ? StoreStatus::kOk : Failed(StoreStatus::kJournalDamaged, from);
  }
  return PutBuffer(image, from);
}

// The page buffer becomes the weight page of an image.
//
// Args:
//   from: where it also lies.
StoreStatus WeightStore::PutBuffer(uint32_t image, uint32_t from) {
  ImageEntry entry;
  if (!head_.ReadImage(image, &entry)) return StoreStatus::kNotClosed;
  const uint32_t to = Weights(entry.page);
  for (int i = 0; i < kTries; ++i) {
    if (i > 0) head_.AddNote(Note::kEraseWeights, image);
    if (ReplacePage(flash_, to, page_, flash_->page_bytes() / 4)) return StoreStatus::kOk;
  }
  detail_.image_offset = from;
  return Failed(StoreStatus::kWeightsFailed, to);
}

// Whether the weight pages that the transaction leaves alone are what they were when it began: not
// if the device was flashed again in the middle of it. With runs also whether the pages that it
// changes can be composed.
//
// Args:
//   held: of its page nothing is asked.
StoreStatus WeightStore::CheckRest(const Held& held) {
  const uint32_t images = head_.header().images;
  const bool has_runs = head_.header().run_pages > 0;
  PackedRuns runs(*flash_, head_, config_.journal_offset);
  uint32_t image = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    ImageEntry entry = {config_.weight_pages, 0};
    if (image < images && !head_.ReadImage(image, &entry)) return StoreStatus::kWeightsChanged;
    StoreStatus status = StoreStatus::kOk;
    if (entry.page == p) {
      if (has_runs && image != held.image) status = ComposeImage(&runs, image);
      ++image;
    } else if (!IsPageRight(p) && !LoadWeights(p)) {
      status = StoreStatus::kWeightsChanged;
    }
    if (status != StoreStatus::kOk) return status;
  }
  return StoreStatus::kOk;
}

bool WeightStore::IsPageRight(uint32_t page) const {
  uint32_t crc = 0, wanted;
  return head_.ReadPageCrc(page, &wanted) &&
         FlashCrc(*flash_, Weights(page), flash_->page_bytes(), &crc) && crc == wanted;
}

bool WeightStore::AreWeightsRight() const {
  bool are_right = HasRecords();
  for (uint32_t p = 0; p < config_.weight_pages && are_right; ++p) are_right = IsPageRight(p);
  return are_right;
}

// A weight page as the last head knows it, in the page buffer.
bool WeightStore::LoadWeights(uint32_t page) {
  const uint32_t words = flash_->page_bytes() / 4;
  uint32_t crc;
  return head_.ReadPageCrc(page, &crc) && flash_->Read(Weights(page), page_, words) &&
         MendBit(page_, words, crc);
}

// Page i of the bulk data, in the page buffer.
bool WeightStore::LoadBulk(uint32_t i) const {
  const uint32_t words = BulkPart(head_.header().bulk_words, i);
  BulkEntry entry;
  return head_.ReadBulk(i, &entry) && flash_->Read(Journal(entry.journal_page), page_, words) &&
         MendBit(page_, words, entry.crc);
}

bool WeightStore::ReadBulk(void* data, uint32_t words) const {
  if (!HasRecords() || head_.header().bulk_words != words) return false;
  for (uint32_t i = 0; i < OldBulkPages(); ++i) {
    if (!LoadBulk(i)) return false;
    memcpy(static_cast<char*>(data) + i * flash_->page_bytes(), page_, 4 * BulkPart(words, i));
  }
  return true;
}

// Flips bits back that have decayed since the last commit, each page by a commit of its own.
StoreStatus WeightStore::Heal() {
  if (AreWeightsRight()) return head_.is_mended() ? Rewrite(nullptr) : StoreStatus::kOk;
  if (config_.has_factory_crc && IsFactory()) return StoreStatus::kWeightsChanged;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    if (!LoadWeights(p)) return StoreStatus::kWeightsChanged;
  }
  StoreStatus status = StoreStatus::kOk;
  for (uint32_t p = 0; p < config_.weight_pages && status == StoreStatus::kOk; ++p) {
    if (IsPageRight(p)) continue;
    const WeightRun run = {0, p * (flash_->page_bytes() / 4), 1};
    const ArrayRuns runs(&run, 1);
    status = Rewrite(&runs);
  }
  return status;
}

// Commits the pages of these runs as the last head knows them.
StoreStatus WeightStore::Rewrite(const RunList* runs) {
  const Change change = {runs, nullptr, 0, nullptr, 0, nullptr};  // No pool: they stay as they are.
  ++mended_;
  next_ = {};
  const StoreStatus status = CheckRoom(change, Base::kLast);
  return status == StoreStatus::kOk ? Write(change) : status;
}

}  // namespace medyate
