#ifndef TFLM_OPS_STORE_PACKED_RUNS_H_
#define TFLM_OPS_STORE_PACKED_RUNS_H_

// What a transaction changes, as its run pages hold it, one stream of words over all of them:
//
//   CRC of each image          what its weight page will be, in the order of pages
//   {first word << 12 | words} of a run within one weight page, from the start of the weights;
//   the words                  then the next run; runs lie in the order of their pages
//   erased words               to the end of the last page
//
// The first word is below 0xff000, so that no such word looks like the magic of a head or a mark.

#include <stdint.h>

#include "tflm_ops/store/flash.h"
#include "tflm_ops/store/head_page.h"

namespace medyate {

constexpr uint32_t kRunLengthBits = 12;
constexpr uint32_t kMostRunWords = (1u << kRunLengthBits) - 1;
constexpr uint32_t kMostPackedWeights = 0xff000u;

inline uint32_t PackedHead(uint32_t first_word, uint32_t words) {
  return first_word << kRunLengthBits | words;
}

struct PackedRun {
  uint32_t first_word;
  uint32_t words;
};

// Reads the runs of a transaction, in their order. Each page is checked before the first word of it
// is believed; one flipped bit of it is flipped back.
class PackedRuns {
 public:
  PackedRuns(const Flash& flash, const HeadPage& head, uint32_t journal_offset)
      : flash_(flash), head_(head), journal_offset_(journal_offset) {
    Rewind();
  }

  void Rewind() { at_ = head_.header().images; }

  // The run at hand. False after the last one, and if it cannot be read.
  bool Peek(PackedRun* run);

  // Its words.
  bool ReadWords(const PackedRun& run, uint32_t* words) { return Read(at_ + 1, words, run.words); }

  // Goes on to the next one.
  void Skip(const PackedRun& run) { at_ += 1 + run.words; }

  // Whether all pages could be read so far.
  bool is_sound() const { return is_sound_; }

 private:
  uint32_t PageWords() const { return flash_.page_bytes() / 4; }
  bool Load(uint32_t page);
  bool Read(uint32_t word, uint32_t* words, uint32_t count);

  const Flash& flash_;
  const HeadPage& head_;
  uint32_t journal_offset_;
  uint32_t at_ = 0;
  bool is_sound_ = true;
  bool is_loaded_ = false;
  uint32_t page_ = 0;     // That is loaded:
  uint32_t offset_ = 0;   // where it lies in flash,
  uint32_t flipped_ = 0;  // and which of its bits was flipped, or kNoBit.
};

}  // namespace medyate

#endif  // TFLM_OPS_STORE_PACKED_RUNS_H_
