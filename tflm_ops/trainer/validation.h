#ifndef TFLM_OPS_TRAINER_VALIDATION_H_
#define TFLM_OPS_TRAINER_VALIDATION_H_

// Samples that a device holds back to judge an epoch by: a ring, the newest drives out the oldest.
// In the caller's memory.

#include <stdint.h>

namespace medyate {

class ValidationRing {
 public:
  // A sample that is held has no loss of the last commit yet. Losses are at least 0.
  static constexpr float kNoLoss = -1.0f;

  // One sample that is held.
  struct Held {
    void* sample;     // [sample_bytes].
    uint32_t* label;  // [label_words]: the class, or the target's floats.
    float* loss;      // At the last commit, or kNoLoss.
    float* new_loss;  // By the weights that are to be judged.
  };

  // Words of memory that one sample takes, of so many words itself.
  static constexpr uint32_t EntryWords(uint32_t sample_words, uint32_t label_words) {
    return sample_words + label_words + 2;
  }

  // Begins empty.
  //
  // Args:
  //   memory: [words], for as many samples as fit; may be null if words is 0.
  void Init(uint32_t* memory, uint32_t words, uint32_t sample_bytes, uint32_t label_words);

  // Keeps a copy of a sample, without a loss. False if there is no room for even one.
  bool Add(const void* sample, const void* label);

  uint32_t capacity() const { return capacity_; }
  uint32_t count() const { return count_; }

  // Args:
  //   i: below count(), in no particular order.
  Held held(uint32_t i) const;

  // The sample that was added last; count() is above 0.
  Held newest() const { return held((next_ + capacity_ - 1) % capacity_); }

  // Whether the mean of the new losses exceeds that of the losses by more than a share, or is not
  // finite. Goes by the samples that have a loss; false if there are none.
  bool IsWorse(float share) const;

  // Makes the new losses those of the last commit; one that is not finite becomes kNoLoss.
  void TakeNewLosses();

  // Makes every loss kNoLoss.
  void ForgetLosses();

 private:
  uint32_t sample_words() const { return (sample_bytes_ + 3) / 4; }

  uint32_t* memory_ = nullptr;
  uint32_t sample_bytes_ = 0;
  uint32_t label_words_ = 0;
  uint32_t capacity_ = 0;
  uint32_t count_ = 0;
  uint32_t next_ = 0;
};

}  // namespace medyate

#endif  // TFLM_OPS_TRAINER_VALIDATION_H_
