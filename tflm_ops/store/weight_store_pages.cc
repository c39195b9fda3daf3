// The weight store's pages: where they lie, which ones the next transaction takes, how often each
// was erased.

#include "tflm_ops/store/flash_io.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {

uint32_t WeightStore::Journal(uint32_t page) const {
  return config_.journal_offset + page * flash_->page_bytes();
}

uint32_t WeightStore::Weights(uint32_t page) const {
  return config_.weights_offset + page * flash_->page_bytes();
}

uint32_t WeightStore::WeightWords() const {
  return config_.weight_pages * (flash_->page_bytes() / 4);
}

uint32_t WeightStore::BulkPages(uint32_t words) const {
  const uint32_t page_words = flash_->page_bytes() / 4;
  return words / page_words + (words % page_words > 0 ? 1 : 0);
}

// Words of page i of so many words of bulk data.
uint32_t WeightStore::BulkPart(uint32_t words, uint32_t i) const {
  const uint32_t page_words = flash_->page_bytes() / 4, left = words - i * page_words;
  return left < page_words ? left : page_words;
}

uint32_t WeightStore::OldBulkPages() const { return HasRecords() ? head_.header().bulk_pages : 0; }

// Where the next transaction begins: after the last page of the last one.
uint32_t WeightStore::FirstPage() const {
  if (!has_head_) return 0;
  // Spare pages are erased far more often than others: by one page on, all take turns.
  if (head_.header().run_pages > 0) return (head_page_ + 1) % config_.journal_pages;
  uint32_t last = head_page_;
  const uint32_t images = head_.header().images, bulk = OldBulkPages();
  ImageEntry image;
  BulkEntry entry;
  if (bulk > 0) {
    if (head_.ReadBulk(bulk - 1, &entry)) last = entry.journal_page;
  } else if (images > 0 && !IsForeign() && head_.ReadImage(images - 1, &image) &&
             image.journal_page != kFactoryPage) {
    last = image.journal_page;
  }
  return (last + 1) % config_.journal_pages;
}

// Whether a page must survive the next transaction: the last head and the bulk data.
bool WeightStore::IsSpared(uint32_t page) const {
  if (!has_head_) return false;
  bool is_spared = page == head_page_;
  for (uint32_t i = 0; i < OldBulkPages() && !is_spared; ++i) {
    BulkEntry entry;
    is_spared = head_.ReadBulk(i, &entry) && entry.journal_page == page;
  }
  return is_spared;
}

// Pages of the next transaction between its head and its bulk data.
uint32_t WeightStore::BodyPages() const {
  if (next_.source == Source::kFactory) return 0;
  return next_.source == Source::kRuns ? next_.run_pages : detail_.images;
}

// All that are left, but no more than there are images.
uint32_t WeightStore::SparePages() const {
  if (next_.source != Source::kRuns) return 0;
  const uint32_t used = 2 + OldBulkPages() + next_.run_pages + BulkPages(next_.bulk_words);
  const uint32_t left = config_.journal_pages - used;
  return left < detail_.images ? left : detail_.images;
}

// Page i of the next transaction: its head, its images or runs, its bulk data, its spare pages,
// round the ring.
uint32_t WeightStore::NewPage(uint32_t i) const {
  for (uint32_t page = FirstPage();; page = (page + 1) % config_.journal_pages) {
    if (!IsSpared(page) && i-- == 0) return page;
  }
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
      CountJournal(0, value, counts);
    }
  }
}

// Counts one erase of the weight page of this image, or of all, and those of their spare pages.
void WeightStore::CountImages(uint32_t image, uint32_t* counts) const {
  const bool is_all = image == kAllImages, has_runs = head_.header().run_pages > 0;
  for (uint32_t i = 0; i < head_.header().images; ++i) {
    ImageEntry entry;
    if ((image != i && !is_all) || !head_.ReadImage(i, &entry)) continue;
    if (entry.page < config_.weight_pages) ++counts[entry.page];
    if (!has_runs || !is_all || entry.journal_page >= config_.journal_pages) continue;
    ++counts[config_.weight_pages + entry.journal_page];
  }
}

// Counts one erase of the next transaction's pages from `begin` to before `end`.
void WeightStore::CountJournal(uint32_t begin, uint32_t end, uint32_t* counts) const {
  const uint32_t most = config_.journal_pages - 1 - OldBulkPages();
  for (uint32_t i = begin; i < end && i < most; ++i) {
    ++counts[config_.weight_pages + NewPage(i)];
  }
}

}  // namespace medyate
