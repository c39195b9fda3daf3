#ifndef TFLM_OPS_STORE_WEAR_H_
#define TFLM_OPS_STORE_WEAR_H_

// How long commits take and how long the flash lasts. Plain arithmetic on data-sheet figures.

#include <stdint.h>

namespace medyate {

struct FlashTraits {
  uint32_t page_bytes;
  uint32_t erase_microseconds;  // Of a page.
  uint32_t write_microseconds;  // Of a word.
  uint32_t cycles;              // Erases that a page endures.
};

constexpr FlashTraits kNrf52840Traits = {4096, 85000, 41, 10000};

// Time of one commit, while the CPU mostly halts: images, bulk data and head into the journal,
// images into the weights, and the marks.
//
// Args:
//   images: weight pages that it changes.
//   run_words: of packed runs, from which the images are composed; 0 if they came whole.
//   head_words: size of its head.
//   bulk_words: of bulk data.
uint64_t CommitMicroseconds(const FlashTraits& traits, uint32_t images, uint32_t run_words,
                            uint32_t head_words, uint32_t bulk_words);

// At least so many commits until the first page reaches its limit, if each changes so many weight
// pages, always among them the one that is worn most.
//
// Args:
//   counts: erases so far, [weight_pages + journal_pages], as WeightStore::EraseCounts has them.
//   bulk_pages: of bulk data.
//   run_pages: of packed runs; 0 if the images come whole.
uint32_t CommitsLeft(const FlashTraits& traits, const uint32_t* counts, uint32_t weight_pages,
                     uint32_t journal_pages, uint32_t images, uint32_t bulk_pages,
                     uint32_t run_pages = 0);

}  // namespace medyate

#endif  // TFLM_OPS_STORE_WEAR_H_
