#include "tflm_ops/trainer/validation.h"

#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {

constexpr float ValidationRing::kNoLoss;

void ValidationRing::Init(uint32_t* memory, uint32_t words, uint32_t sample_bytes,
                          uint32_t label_words) {
  memory_ = memory;
  sample_bytes_ = sample_bytes;
  label_words_ = label_words;
  capacity_ = memory ? words / EntryWords(sample_words(), label_words) : 0;
  count_ = next_ = 0;
}

ValidationRing::Held ValidationRing::held(uint32_t i) const {
  uint32_t* const entry = memory_ + i * EntryWords(sample_words(), label_words_);
  uint32_t* const label = entry + sample_words();
  float* const losses = reinterpret_cast<float*>(label + label_words_);
  return {entry, label, losses, losses + 1};
}

bool ValidationRing::Add(const void* sample, const void* label) {
  if (capacity_ == 0) return false;
  const Held entry = held(next_);
  memcpy(entry.sample, sample, sample_bytes_);
  memcpy(entry.label, label, sizeof(uint32_t) * label_words_);
  *entry.loss = *entry.new_loss = kNoLoss;
  next_ = (next_ + 1) % capacity_;
  if (count_ < capacity_) ++count_;
  return true;
}

bool ValidationRing::IsWorse(float share) const {
  float before = 0.0f, after = 0.0f;
  uint32_t samples = 0;
  for (uint32_t i = 0; i < count_; ++i) {
    const Held entry = held(i);
    if (*entry.loss < 0.0f) continue;
    before += *entry.loss;
    after += *entry.new_loss;
    ++samples;
  }
  // Of as many samples on both sides, so sums do for means.
  return samples > 0 && (!math::IsFinite(after) || after > before + share * before);
}

void ValidationRing::TakeNewLosses() {
  for (uint32_t i = 0; i < count_; ++i) {
    const Held entry = held(i);
    *entry.loss = math::IsFinite(*entry.new_loss) ? *entry.new_loss : kNoLoss;
  }
}

void ValidationRing::ForgetLosses() {
  for (uint32_t i = 0; i < count_; ++i) *held(i).loss = kNoLoss;
}

}  // namespace medyate
