#include "tflm_ops/store/packed_runs.h"

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/flash_io.h"

namespace medyate {

bool PackedRuns::Peek(PackedRun* run) {
  uint32_t word;
  if (at_ >= head_.header().run_pages * PageWords() || !Read(at_, &word, 1)) return false;
  *run = {word >> kRunLengthBits, word & kMostRunWords};
  return word != kErasedWord;
}

// Finds out where a page lies and which bit of it has decayed.
bool PackedRuns::Load(uint32_t page) {
  if (is_loaded_ && page == page_) return true;
  BulkEntry entry;
  uint32_t crc = 0;
  is_loaded_ = false;
  if (page >= head_.header().run_pages || !head_.ReadRunPage(page, &entry)) return false;
  offset_ = journal_offset_ + entry.journal_page * flash_.page_bytes();
  if (!FlashCrc(flash_, offset_, flash_.page_bytes(), &crc)) return false;
  flipped_ = crc == entry.crc ? kNoBit : FlippedBit(crc ^ entry.crc, PageWords());
  page_ = page;
  is_loaded_ = crc == entry.crc || flipped_ != kNoBit;
  return is_loaded_;
}

bool PackedRuns::Read(uint32_t word, uint32_t* words, uint32_t count) {
  while (count > 0) {
    const uint32_t at = word % PageWords(), room = PageWords() - at;
    const uint32_t n = count < room ? count : room;
    is_sound_ = is_sound_ && Load(word / PageWords()) && flash_.Read(offset_ + 4 * at, words, n);
    if (!is_sound_) return false;
    if (flipped_ != kNoBit && flipped_ / 32 - at < n) {
      words[flipped_ / 32 - at] ^= 1u << (flipped_ % 32);
    }
    word += n;
    words += n;
    count -= n;
  }
  return true;
}

}  // namespace medyate
