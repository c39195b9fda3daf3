#ifndef TESTS_TFLM_OPS_STORE_FAKE_FLASH_H_
#define TESTS_TFLM_OPS_STORE_FAKE_FLASH_H_

// A flash memory that loses power and wears out where a test wants it to.
//
// An operation is one erase or one word written. A power cut at operation n leaves it half done and
// ignores all that follow until Restart:
//
//   a torn word     keeps any subset of its bits cleared (none and all included), for good, or has
//                   bits that read at random until the page is erased
//   a torn erase    leaves a page that is unstable until it is erased again: it reads at random, or
//                   as erased, or as what it held, each with or without single bits that change
//                   from read to read, or as what it held for a while and then at random
//
// It also keeps the rules of a real flash and counts breaches: words are written once after an
// erase (zeros over anything are allowed once more), never on a page whose erase was torn.

#include <stdint.h>

#include <random>
#include <vector>

#include "tflm_ops/store/flash.h"

namespace medyate {

class FakeFlash final : public Flash {
 public:
  static constexpr uint64_t kNever = ~uint64_t{0};

  FakeFlash(uint32_t page_bytes, uint32_t pages, uint32_t seed)
      : page_words_(page_bytes / 4), random_(seed), words_(page_words_ * pages), pages_(pages) {}

  uint32_t page_bytes() const override { return 4 * page_words_; }
  bool Erase(uint32_t offset) override;
  bool Write(uint32_t offset, const uint32_t* words, uint32_t count) override;
  bool Read(uint32_t offset, uint32_t* words, uint32_t count) const override;

  // Cuts the power at operation n from now on, 0 being the next one.
  void CutAt(uint64_t n) { cut_at_ = n == kNever ? kNever : operations_ + n; }
  bool is_cut() const { return is_cut_; }
  void Restart() {
    is_cut_ = false;
    cut_at_ = kNever;
  }
  // What a cut makes of the word that is being written.
  enum class Tear { kAny, kNothing, kAll, kSome, kSomeUnsure, kAllButOneBit };
  void TearWordsAs(Tear tear) { tear_ = tear; }
  void Reseed(uint32_t seed) { random_.seed(seed); }
  uint64_t operations() const { return operations_; }

  // Faults of single pages and words.
  void FailErase(uint32_t page, bool fails) { pages_[page].erase_fails = fails; }
  void FailWrite(uint32_t page, bool fails) { pages_[page].write_fails = fails; }
  void StickAtOne(uint32_t offset, uint32_t bits) { words_[offset / 4].stuck = bits; }
  void FlipBits(uint32_t offset, uint32_t bits) { words_[offset / 4].value ^= bits; }

  // Writes past all rules and counts, as a programmer does who flashes a board.
  void Program(uint32_t offset, const std::vector<uint32_t>& words);

  // What lies in the memory, and whether all of it is stable.
  std::vector<uint32_t> Contents(uint32_t offset, uint32_t words) const;
  bool IsStable(uint32_t offset, uint32_t words) const;

  uint32_t erases(uint32_t page) const { return pages_[page].erases; }
  uint32_t pages() const { return static_cast<uint32_t>(pages_.size()); }

  // Breaches of the rules.
  int written_twice() const { return written_twice_; }
  int written_unstable() const { return written_unstable_; }

  // Most attempts to write one word after an erase, torn ones included.
  int most_writes() const { return most_writes_; }

 private:
  enum class State { kStable, kRandom, kLooksErased, kLooksOld, kDecays };

  struct Word {
    uint32_t value = kErasedWord;
    uint32_t unsure = 0;  // Bits that read at random.
    uint32_t stuck = 0;   // Bits that stay one.
    int writes = 0;
    bool whole = false;  // One of them was completed.
  };

  struct Page {
    State state = State::kStable;
    uint32_t flicker = 0;  // One read in so many flips a bit; 0 for none.
    mutable uint32_t reads_left = 0;
    uint32_t erases = 0;
    bool erase_fails = false;
    bool write_fails = false;
  };

  bool Tick() {
    is_cut_ = operations_++ == cut_at_;
    return is_cut_;
  }
  void WriteWord(uint32_t index, uint32_t value, bool is_torn);
  void TearErase(Page* page);
  uint32_t ReadWord(uint32_t index) const;

  uint32_t page_words_;
  mutable std::mt19937 random_;
  std::vector<Word> words_;
  std::vector<Page> pages_;
  Tear tear_ = Tear::kAny;
  uint64_t operations_ = 0;
  uint64_t cut_at_ = kNever;
  bool is_cut_ = false;
  int written_twice_ = 0;
  int written_unstable_ = 0;
  int most_writes_ = 0;
};

}  // namespace medyate

#endif  // TESTS_TFLM_OPS_STORE_FAKE_FLASH_H_
