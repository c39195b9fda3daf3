// The head of the weight store's next transaction.

#include <string.h>

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/flash_io.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {

// The head of the transaction whose images and bulk data lie in the journal; commits it and puts it
// in place.
StoreStatus WeightStore::WriteHead(const Change& change, Base base) {
  const uint32_t page = NewPage(0);
  HeadHeader header;
  HeadPage head(flash_, Journal(page));
  if (!ComposeHead(change, base, &header) ||
      !ReplacePage(flash_, Journal(page), page_, header.head_words) || !head.Load()) {
    return Failed(StoreStatus::kJournalFailed, Journal(page));
  }
  if (!head.AddCommit()) {
    head.KillCommit();
    return Failed(StoreStatus::kJournalFailed, Journal(page));
  }
  head_ = head;
  head_page_ = page;
  has_head_ = true;
  return Block(Replay(true));
}

// The head, in the page buffer.
bool WeightStore::ComposeHead(const Change& change, Base base, HeadHeader* header) {
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
  h.bulk_words = next_.bulk_words;
  h.bulk_pages = BulkPages(next_.bulk_words);
  h.run_pages = next_.run_pages;
  h.previous_page = has_head_ ? head_page_ : NewPage(0);
  uint32_t* counts = page_ + CountsWord(h);
  if (!TabulatePages(change, base, h) || !TabulateBulk(h) || !LoadCounts(counts)) return false;
  CountJournal(noted_, NewPages(), counts);
  const HeadPage none;
  h.record_words =
      ChangeRecords(base == Base::kLast ? head_ : none, change.records, change.record_count,
                    page_ + RecordsWord(h), flash_->page_bytes() / 4 - RecordsWord(h));
  h.head_words = RecordsWord(h) + h.record_words;
  memcpy(page_, &h, sizeof(h));
  h.crc = HeadCrc(page_, h.head_words);
  memcpy(page_, &h, sizeof(h));
  return true;
}

// The CRCs of all weight pages as they will be, and the table of images. What a page that stays
// should be is what the last head says, not what has become of it.
bool WeightStore::TabulatePages(const Change& change, Base base, const HeadHeader& header) {
  const uint32_t bytes = flash_->page_bytes();
  uint32_t image = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    uint32_t* crc = page_ + CrcWord(p);
    *crc = 0;
    if (Touches(change, p)) {
      page_[ImageWord(header, image)] = p | PlaceOf(image) << 16;
      if (!ImageCrc(image++, p, crc)) return false;
    } else if (base == Base::kLast) {
      if (!head_.ReadPageCrc(p, crc)) return false;
    } else {
      if (!FlashCrc(*flash_, Weights(p), bytes, crc)) return false;
      // No weights have this CRC, not even with a flipped bit.
      if (base == Base::kNobody) *crc ^= 1;
    }
  }
  return true;
}

// The journal page of an image of the next transaction; see ImageEntry.
uint32_t WeightStore::PlaceOf(uint32_t image) const {
  if (next_.source == Source::kImages) return NewPage(1 + image);
  const uint32_t spares = SparePages();
  return spares > 0 ? NewPage(NewPages() + image % spares) : kFactoryPage;
}

bool WeightStore::ImageCrc(uint32_t image, uint32_t weight_page, uint32_t* crc) const {
  const uint32_t bytes = flash_->page_bytes(), words = bytes / 4;
  if (next_.source == Source::kFactory) {
    *crc = Crc32(0, config_.factory + weight_page * words, bytes);
    return true;
  }
  if (next_.source == Source::kImages) {
    return FlashCrc(*flash_, Journal(NewPage(1 + image)), bytes, crc);
  }
  return flash_->Read(Journal(NewPage(1 + image / words)) + 4 * (image % words), crc, 1);
}

// Pages of bulk data, then of runs.
bool WeightStore::TabulateBulk(const HeadHeader& header) {
  for (uint32_t i = 0; i < header.bulk_pages; ++i) {
    uint32_t* entry = page_ + BulkWord(header, i);
    entry[0] = NewPage(1 + BodyPages() + i);
    entry[1] = 0;
    const uint32_t bytes = 4 * BulkPart(header.bulk_words, i);
    if (!FlashCrc(*flash_, Journal(entry[0]), bytes, &entry[1])) return false;
  }
  for (uint32_t i = 0; i < header.run_pages; ++i) {
    uint32_t* entry = page_ + BulkWord(header, header.bulk_pages + i);
    entry[0] = NewPage(1 + i);
    entry[1] = 0;
    if (!FlashCrc(*flash_, Journal(entry[0]), flash_->page_bytes(), &entry[1])) return false;
  }
  return true;
}

}  // namespace medyate
