// The weight store's transactions of runs: what changes goes into the journal, packed, and not the
// pages that it changes. docs/weight_store.md says why this holds.

#include <string.h>

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/flash_io.h"
#include "tflm_ops/store/packed_runs.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {
namespace {

const uint32_t kChunkWords = 16;
const uint32_t kImageBits = 12;

}  // namespace

// Words that a head must have besides what one of images has: for the pages of runs, and for a note
// of each image that is held, more of them for starts that do it again.
uint64_t WeightStore::RunsHeadWords() const {
  if (config_.run_pages == 0) return 0;
  return 2 * uint64_t{config_.run_pages} +
         kMarkWords * (uint64_t{config_.weight_pages} + kHeldAgain);
}

// --- before the commit mark

// Words of the packed runs.
uint32_t WeightStore::PackedWords(const Change& change) const {
  const uint32_t page_words = flash_->page_bytes() / 4;
  uint32_t words = detail_.images;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    for (uint32_t i = 0; i < CountOf(change.runs); ++i) {
      const RunPart part = PartWithin(change.runs->run(i), p * page_words, page_words);
      if (part.length > 0) words += 1 + part.length;
    }
  }
  return words;
}

StoreStatus WeightStore::WriteRuns(const Change& change) {
  const uint32_t bytes = flash_->page_bytes(), page_words = bytes / 4;
  appended_words_ = appended_crc_ = 0;
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    if (!Touches(change, p)) continue;
    StoreStatus status = Compose(change, p);
    const uint32_t crc = Crc32(0, page_, bytes);
    if (status == StoreStatus::kOk) status = AppendWords(&crc, 1);
    if (status != StoreStatus::kOk) return status;
  }
  for (uint32_t p = 0; p < config_.weight_pages; ++p) {
    for (uint32_t i = 0; i < CountOf(change.runs); ++i) {
      const RunPart part = PartWithin(change.runs->run(i), p * page_words, page_words);
      if (part.length == 0) continue;
      const uint32_t head = PackedHead(p * page_words + part.word, part.length);
      StoreStatus status = AppendWords(&head, 1);
      for (uint32_t at = 0; at < part.length && status == StoreStatus::kOk; at += kChunkWords) {
        uint32_t words[kChunkWords];
        const uint32_t left = part.length - at, n = left < kChunkWords ? left : kChunkWords;
        memcpy(words, change.pool + part.pool_offset + at, 4 * n);
        status = AppendWords(words, n);
      }
      if (status != StoreStatus::kOk) return status;
    }
  }
  return StoreStatus::kOk;
}

// --- after it

uint32_t WeightStore::NoteOf(const Held& held) { return held.image | held.spare << kImageBits; }

WeightStore::Held WeightStore::HeldOf(uint32_t note) { return {note & kNone, note >> kImageBits}; }

// Spare pages of the last transaction: its images take turns in them.
uint32_t WeightStore::Spares() const {
  const HeadHeader& h = head_.header();
  ImageEntry first, entry;
  if (h.run_pages == 0 || h.images == 0 || !head_.ReadImage(0, &first)) return 0;
  uint32_t spares = 1;
  while (spares < h.images && head_.ReadImage(spares, &entry) &&
         entry.journal_page != first.journal_page) {
    ++spares;
  }
  return spares;
}

// Where spare page i lies.
uint32_t WeightStore::Spare(uint32_t i) const {
  ImageEntry entry = {};
  head_.ReadImage(i, &entry);
  return Journal(entry.journal_page);
}

// Sets the words of a weight page's runs in the page buffer.
bool WeightStore::ApplyRuns(PackedRuns* runs, uint32_t page) {
  const uint32_t page_words = flash_->page_bytes() / 4, first = page * page_words;
  PackedRun run;
  // Those of earlier pages were passed, unless pages are asked for out of their order.
  if (!runs->Peek(&run) || run.first_word > first) runs->Rewind();
  for (; runs->Peek(&run) && run.first_word < first + page_words; runs->Skip(run)) {
    if (run.first_word < first) continue;
    const uint32_t word = run.first_word - first;
    if (run.words > page_words - word || !runs->ReadWords(run, page_ + word)) return false;
  }
  return runs->is_sound();
}

// The page of an image as it will be, in the page buffer, composed of flash and runs. Words are set
// and never added to: a page that is new already stays as it is.
StoreStatus WeightStore::ComposeImage(PackedRuns* runs, uint32_t image) {
  const uint32_t page_words = flash_->page_bytes() / 4;
  ImageEntry entry;
  uint32_t crc;
  if (!head_.ReadImage(image, &entry) || !head_.ReadPageCrc(entry.page, &crc) ||
      !flash_->Read(Weights(entry.page), page_, page_words) || !ApplyRuns(runs, entry.page)) {
    return Failed(StoreStatus::kJournalDamaged, Journal(head_page_));
  }
  if (MendBit(page_, page_words, crc)) return StoreStatus::kOk;
  return Failed(StoreStatus::kWeightsChanged, Weights(entry.page));
}

// A held image, but for a flipped bit, in the page buffer. That its runs make no difference to it
// tells it from garbage of which a flipped bit would make the CRC right.
bool WeightStore::LoadHeld(PackedRuns* runs, const Held& held) {
  const uint32_t bytes = flash_->page_bytes();
  ImageEntry entry;
  uint32_t crc;
  return held.image < head_.header().images && held.spare < Spares() &&
         head_.ReadImage(held.image, &entry) && head_.ReadPageCrc(entry.page, &crc) &&
         flash_->Read(Spare(held.spare), page_, bytes / 4) && MendBit(page_, bytes / 4, crc) &&
         ApplyRuns(runs, entry.page) && Crc32(0, page_, bytes) == crc;
}

// What the last note says of the image that is being put in place. The page of every other image
// is whole, old or new. A note that is there, torn or not, was begun when its spare page was whole.
WeightStore::Held WeightStore::FindHeld() {
  PackedRuns runs(*flash_, head_, config_.journal_offset);
  for (uint32_t i = head_.header().run_pages > 0 ? head_.NoteSlots() : 0; i-- > 0;) {
    uint32_t values[2];
    for (uint32_t n = head_.ReadNoteMended(Note::kHeld, i, values); n-- > 0;) {
      const Held held = HeldOf(values[n]);
      if (held.image == kNone || LoadHeld(&runs, held)) return held;
    }
  }
  return {kNone, 0};
}

// Composes the images one after the other, each in a spare page, and puts it in place from there.
//
// Args:
//   held: what a start has found. It is noted again, before any page changes: from then on the note
//     reads as there for good, and overrules one that was torn and did not show.
StoreStatus WeightStore::PutRunsInPlace(bool is_new, Held held) {
  PackedRuns runs(*flash_, head_, config_.journal_offset);
  uint32_t image = 0;
  if (!is_new && !head_.AddNote(Note::kHeld, NoteOf(held))) return StoreStatus::kNotClosed;
  if (held.image != kNone) {
    if (!LoadHeld(&runs, held)) return Failed(StoreStatus::kJournalDamaged, Spare(held.spare));
    const StoreStatus status = PutBuffer(held.image, Spare(held.spare));
    if (status != StoreStatus::kOk) return status;
    image = held.image + 1;
  }
  for (; image < head_.header().images; ++image) {
    StoreStatus status = ComposeImage(&runs, image);
    if (status == StoreStatus::kOk) status = HoldInSpare(image, &held);
    if (status == StoreStatus::kOk) status = PutBuffer(image, Spare(held.spare));
    if (status != StoreStatus::kOk) return status;
  }
  return StoreStatus::kOk;
}

// Writes the page buffer into a spare page and notes it: from then on its weight page may change.
//
// Args:
//   held: the image before, whose spare page stays what it is until the note is written;
//   overwritten.
StoreStatus WeightStore::HoldInSpare(uint32_t image, Held* held) {
  const uint32_t spares = Spares(), others = held->image == kNone ? spares : spares - 1;
  for (uint32_t i = 0; i < others; ++i) {
    const Held next = {image, held->image == kNone ? i : (held->spare + 1 + i) % spares};
    if (!ReplacePage(flash_, Spare(next.spare), page_, flash_->page_bytes() / 4)) continue;
    if (!head_.AddNote(Note::kHeld, NoteOf(next))) break;
    *held = next;
    return StoreStatus::kOk;
  }
  return Failed(StoreStatus::kNotClosed, Spare(held->spare));
}

}  // namespace medyate
