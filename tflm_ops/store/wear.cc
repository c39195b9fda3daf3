#include "tflm_ops/store/wear.h"

namespace medyate {
namespace {

const uint32_t kMarkWords = 2;

uint32_t Largest(const uint32_t* counts, uint32_t n) {
  uint32_t largest = 0;
  for (uint32_t i = 0; i < n; ++i) largest = counts[i] > largest ? counts[i] : largest;
  return largest;
}

}  // namespace

uint64_t CommitMicroseconds(const FlashTraits& traits, uint32_t images, uint32_t run_words,
                            uint32_t head_words, uint32_t bulk_words) {
  const uint32_t page_words = traits.page_bytes / 4;
  const uint64_t erases = 2 * uint64_t{images} + 1 + (run_words + page_words - 1) / page_words +
                          (bulk_words + page_words - 1) / page_words;
  // Marks: a note for the journal, a note for the weights; two each of commit, next, done; with
  // runs a note of each image that is held.
  const uint64_t marks = (images > 0 ? 8 : 7) + (run_words > 0 ? uint64_t{images} : 0);
  const uint64_t words =
      2 * uint64_t{images} * page_words + run_words + head_words + bulk_words + kMarkWords * marks;
  return erases * traits.erase_microseconds + words * traits.write_microseconds;
}

uint32_t CommitsLeft(const FlashTraits& traits, const uint32_t* counts, uint32_t weight_pages,
                     uint32_t journal_pages, uint32_t images, uint32_t bulk_pages,
                     uint32_t run_pages) {
  const uint32_t weights_worst = Largest(counts, weight_pages);
  const uint32_t journal_worst = Largest(counts + weight_pages, journal_pages);
  if (journal_worst >= traits.cycles || (images > 0 && weights_worst >= traits.cycles)) return 0;
  // Each commit erases a head's, the images' and the bulk data's journal pages in turn. Only in a
  // ring shorter than two commits do they have to go round the last head, and even then no page is
  // erased twice a commit.
  const uint64_t pages = uint64_t{images} + 1 + bulk_pages + run_pages;
  const uint64_t erases = traits.cycles - journal_worst;
  uint64_t by_journal = 2 * pages <= journal_pages ? erases * journal_pages / pages : erases;
  // With runs the ring goes on by one page a commit, so that each page has each use in turn, but
  // for the first time round.
  if (run_pages > 0) by_journal = erases < pages ? 0 : (erases / pages - 1) * journal_pages;
  const uint64_t by_weights = images > 0 ? traits.cycles - weights_worst : by_journal;
  const uint64_t commits = by_journal < by_weights ? by_journal : by_weights;
  return commits > 0xffffffffu ? 0xffffffffu : static_cast<uint32_t>(commits);
}

}  // namespace medyate
