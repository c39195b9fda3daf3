#include "tests/tflm_ops/store/fake_flash.h"

#include <algorithm>

namespace medyate {

bool FakeFlash::Erase(uint32_t offset) {
  if (is_cut_) return false;
  Page& page = pages_[offset / page_bytes()];
  ++page.erases;
  const bool is_torn = Tick();
  if (page.erase_fails) return false;
  if (is_torn) {
    TearErase(&page);
    return false;
  }
  page.state = State::kStable;
  page.flicker = 0;
  for (uint32_t i = 0; i < page_words_; ++i) {
    Word& word = words_[offset / 4 + i];
    word.value = kErasedWord;
    word.unsure = 0;
    word.writes = 0;
    word.whole = false;
  }
  return true;
}

void FakeFlash::TearErase(Page* page) {
  const State states[] = {State::kRandom, State::kLooksErased, State::kLooksOld, State::kDecays};
  page->state = states[random_() % 4];
  page->flicker = random_() % 2 == 0 ? 0 : 1u << (random_() % 8);
  page->reads_left = random_() % (8 * page_words_);
}

bool FakeFlash::Write(uint32_t offset, const uint32_t* words, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (is_cut_) return false;
    if (pages_[offset / page_bytes()].write_fails) return false;
    const bool is_torn = Tick();
    WriteWord(offset / 4 + i, words[i], is_torn);
    if (is_torn) return false;
  }
  return true;
}

void FakeFlash::WriteWord(uint32_t index, uint32_t value, bool is_torn) {
  Word& word = words_[index];
  ++word.writes;
  most_writes_ = std::max(most_writes_, word.writes);
  if (value != 0) {
    written_twice_ += word.whole ? 1 : 0;
    written_unstable_ += pages_[index / page_words_].state == State::kStable ? 0 : 1;
  }
  const uint32_t cleared = ~value & ~word.stuck;
  if (!is_torn) {
    word.whole = true;
    word.value &= ~cleared;
    word.unsure &= ~cleared;
    return;
  }
  const Tear kinds[] = {Tear::kNothing, Tear::kAll, Tear::kSome, Tear::kSomeUnsure,
                        Tear::kAllButOneBit};
  uint32_t kept = 0, unsure = 0;
  switch (tear_ == Tear::kAny ? kinds[random_() % 5] : tear_) {
    case Tear::kAll:  // Only that nobody knows.
      kept = cleared;
      break;
    case Tear::kSome:
      kept = cleared & random_();
      break;
    case Tear::kSomeUnsure:
      kept = cleared & random_();
      unsure = cleared & random_() & ~kept;
      break;
    case Tear::kAllButOneBit:
      while (cleared != 0 && unsure == 0) unsure = cleared & (1u << (random_() % 32));
      kept = cleared & ~unsure;
      break;
    default:
      break;
  }
  word.unsure = (word.unsure | (unsure & word.value)) & ~kept;
  word.value &= ~kept;
}

uint32_t FakeFlash::ReadWord(uint32_t index) const {
  const Word& word = words_[index];
  const Page& page = pages_[index / page_words_];
  uint32_t value = word.value;
  if (word.unsure != 0) value &= ~(word.unsure & static_cast<uint32_t>(random_()));
  State state = page.state;
  if (state == State::kStable) return value;
  if (state == State::kDecays) {
    state = page.reads_left > 0 ? State::kLooksOld : State::kRandom;
    if (page.reads_left > 0) --page.reads_left;
  }
  if (state == State::kRandom) return static_cast<uint32_t>(random_());
  if (state == State::kLooksErased) value = kErasedWord;
  if (page.flicker > 0 && random_() % page.flicker == 0) value ^= 1u << (random_() % 32);
  return value;
}

bool FakeFlash::Read(uint32_t offset, uint32_t* words, uint32_t count) const {
  if (is_cut_) return false;
  for (uint32_t i = 0; i < count; ++i) words[i] = ReadWord(offset / 4 + i);
  return true;
}

void FakeFlash::Program(uint32_t offset, const std::vector<uint32_t>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    Word& word = words_[offset / 4 + i];
    word.value = words[i];
    word.unsure = 0;
    word.writes = 1;
    word.whole = true;
    pages_[(offset / 4 + i) / page_words_].state = State::kStable;
  }
}

std::vector<uint32_t> FakeFlash::Contents(uint32_t offset, uint32_t words) const {
  std::vector<uint32_t> contents(words);
  for (uint32_t i = 0; i < words; ++i) contents[i] = words_[offset / 4 + i].value;
  return contents;
}

bool FakeFlash::IsStable(uint32_t offset, uint32_t words) const {
  for (uint32_t i = 0; i < words; ++i) {
    if (words_[offset / 4 + i].unsure != 0) return false;
    if (pages_[(offset / 4 + i) / page_words_].state != State::kStable) return false;
  }
  return true;
}

}  // namespace medyate
