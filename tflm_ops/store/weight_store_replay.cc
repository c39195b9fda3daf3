// The weight store's last transaction: put in place, and mended where a bit has decayed.

#include <string.h>

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/flash_io.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {
namespace {

const int kTries = 3;  // Of a weight page that does not read back as it was written.

}  // namespace

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
  HeadPage previous(flash_, Journal(head_.header().previous_page));
  if (head_.header().previous_page != head_page_ && previous.Load()) previous.AddNext();
  if (head_.header().images > 0) head_.AddNote(Note::kEraseWeights, kAllImages);
  StoreStatus result = StoreStatus::kOk;
  for (uint32_t i = 0; i < head_.header().images; ++i) {
    const StoreStatus status = PutInPlace(i);
    if (status != StoreStatus::kOk) result = status;
  }
  if (result != StoreStatus::kOk) return result;
  if (!head_.AddDone(2)) return StoreStatus::kNotClosed;
  done_is_certain_ = true;
  return StoreStatus::kOk;
}

StoreStatus WeightStore::PutInPlace(uint32_t image) {
  const uint32_t words = flash_->page_bytes() / 4;
  ImageEntry entry;
  uint32_t crc;
  if (!head_.ReadImage(image, &entry) || !head_.ReadPageCrc(entry.page, &crc)) {
    return StoreStatus::kNotClosed;
  }
  const uint32_t from = Journal(entry.journal_page), to = Weights(entry.page);
  if (!flash_->Read(from, page_, words) || !MendBit(page_, words, crc)) {
    // Without decay no image is lost before the done mark. The mark may be what has decayed.
    return IsPageRight(entry.page) ? StoreStatus::kOk : Failed(StoreStatus::kJournalDamaged, from);
  }
  for (int i = 0; i < kTries; ++i) {
    if (i > 0) head_.AddNote(Note::kEraseWeights, image);
    if (ReplacePage(flash_, to, page_, words)) return StoreStatus::kOk;
  }
  detail_.image_offset = from;
  return Failed(StoreStatus::kWeightsFailed, to);
}

// Whether the weight pages that the transaction leaves alone are what they were when it began: not
// if the device was flashed again in the middle of it.
bool WeightStore::RestIsRight() {
  uint32_t image = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    ImageEntry entry;
    if (image < head_.header().images) {
      if (!head_.ReadImage(image, &entry)) return false;
      if (entry.page == p) {
        ++image;
        continue;
      }
    }
    if (!IsPageRight(p) && !LoadWeights(p)) return false;
  }
  return true;
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
  const StoreStatus status = CheckRoom(change, Base::kLast);
  return status == StoreStatus::kOk ? Write(change) : status;
}

}  // namespace medyate
