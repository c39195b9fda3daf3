#ifndef TESTS_ARDUINO_BOARD_FLASH_H_
#define TESTS_ARDUINO_BOARD_FLASH_H_

// A board's flash in a file, for the sketches on a host: the weights, then the journal. Named by
// MEDYATE_BOARD_FLASH_H.

#include <stdio.h>
#include <string.h>

#include "tflm_ops/device/nano33ble.h"

namespace medyate {

class BoardFlash final : public Flash {
 public:
  // Without a file: as the programmer left it, the model's weights and nothing else. A file that
  // is too short stands for a board where something is wrong.
  explicit BoardFlash(const StaticModel& model)
      : weights_(4 * model.weights_floats),
        pages_(model.weights_floats / kPageWords + NanoJournalPages(model)) {
    if (pages_ > kMostPages) {
      problem_ = "this model is too large for the test";
      return;
    }
    FILE* file = fopen(kFile, "rb");
    if (file && fread(words_, 4 * kPageWords, pages_, file) == pages_) {
      fclose(file);
      return;
    }
    if (file) problem_ = "the flash is too small";
    if (file) fclose(file);
    memset(words_, 0xff, sizeof(words_));
    memcpy(words_, model.weights, weights_);
  }

  FlashPlace place() {
    return {this,
            0,
            weights_,
            pages_ - weights_ / 4 / kPageWords,
            reinterpret_cast<const float*>(words_),
            kNrf52840Traits.cycles,
            0};
  }
  const char* problem() const { return problem_; }

  uint32_t page_bytes() const override { return problem_ ? 0 : 4 * kPageWords; }
  bool Erase(uint32_t offset) override {
    memset(words_ + offset / 4, 0xff, 4 * kPageWords);
    return Save();
  }
  bool Write(uint32_t offset, const uint32_t* words, uint32_t count) override {
    for (uint32_t i = 0; i < count; ++i) words_[offset / 4 + i] &= words[i];
    return Save();
  }
  bool Read(uint32_t offset, uint32_t* words, uint32_t count) const override {
    memcpy(words, words_ + offset / 4, 4 * count);
    return true;
  }

 private:
  static constexpr uint32_t kPageWords = kNanoPageBytes / 4;
  static constexpr uint32_t kMostPages = 24;
  static constexpr const char* kFile = "flash.bin";

  bool Save() const {
    FILE* file = fopen(kFile, "wb");
    if (!file) return false;
    const bool is_whole = fwrite(words_, 4 * kPageWords, pages_, file) == pages_;
    return fclose(file) == 0 && is_whole;
  }

  uint32_t weights_;  // Bytes.
  uint32_t pages_;
  const char* problem_ = nullptr;
  uint32_t words_[kMostPages * kPageWords];
};

}  // namespace medyate

#endif  // TESTS_ARDUINO_BOARD_FLASH_H_
