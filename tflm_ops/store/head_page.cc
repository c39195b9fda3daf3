#include "tflm_ops/store/head_page.h"

#include <string.h>

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/flash_io.h"

namespace medyate {
namespace {

const uint32_t kCommitMark = 0x3c96a55au;
const uint32_t kDoneMark = 0x69c3f00fu;
const uint32_t kLeastNotes = 8;  // A transaction without power cuts needs two.
const int kReads = 4;            // Of a mark: any that shows it counts.

const uint32_t kCrcWord = offsetof(HeadHeader, crc) / 4;

struct Mark {
  uint32_t word;
  uint32_t complement;
};

Mark MarkOf(uint32_t word) { return {word, ~word}; }
bool IsWhole(const Mark& mark) { return mark.complement == ~mark.word; }
bool IsBlank(const Mark& mark) { return (mark.word & mark.complement) == kErasedWord; }

uint32_t NoteWord(Note note, uint32_t value) { return static_cast<uint32_t>(note) << 24 | value; }

}  // namespace

uint32_t ImagePage(uint32_t head, uint32_t spared, uint32_t image, uint32_t pages) {
  const uint32_t distance = (spared + pages - head) % pages;
  const uint32_t steps = image + 1;
  return (head + steps + (distance != 0 && steps >= distance ? 1 : 0)) % pages;
}

uint32_t HeadCrc(const uint32_t* head, uint32_t head_words) {
  const uint32_t crc = Crc32(0, head, 4 * kCrcWord);
  return Crc32(crc, head + kHeaderWords, 4 * (head_words - kHeaderWords));
}

bool HeadFits(uint32_t page_bytes, uint32_t head_words) {
  const uint32_t marks = 2 * kSlots + kLeastNotes;
  return head_words + kMarkWords * marks <= page_bytes / 4;
}

bool HeadPage::ReadWords(uint32_t word, uint32_t* words, uint32_t count) const {
  return flash_->Read(offset_ + 4 * word, words, count);
}

bool HeadPage::Load() {
  uint32_t words[kHeaderWords];
  if (!ReadWords(0, words, kHeaderWords)) return false;
  memcpy(&header_, words, sizeof(header_));
  const HeadHeader& h = header_;
  if (h.magic != kHeadMagic || h.version != kJournalVersion) return false;
  const uint32_t most = PageWords();
  if (h.images > most || h.weight_pages > most || h.journal_pages > most || h.record_words > most ||
      h.head_words != RecordsWord(h) + h.record_words || h.spared_page >= h.journal_pages ||
      !HeadFits(flash_->page_bytes(), h.head_words)) {
    return false;
  }
  uint32_t crc = Crc32(0, words, 4 * kCrcWord);
  return FlashCrc(*flash_, offset_ + sizeof(HeadHeader), 4 * (h.head_words - kHeaderWords), &crc) &&
         crc == h.crc;
}

bool HeadPage::ReadEntry(uint32_t image, ImageEntry* entry) const {
  uint32_t words[2];
  if (!ReadWords(EntryWord(image), words, 2)) return false;
  *entry = {words[0], words[1]};
  return true;
}

uint32_t HeadPage::ValueOf(Marks marks) {
  return marks == Marks::kCommit ? kCommitMark : kDoneMark;
}

uint32_t HeadPage::FirstWord(Marks marks) const {
  return PageWords() - kMarkWords * kSlots * (marks == Marks::kCommit ? 2 : 1);
}

// The highest slot whose mark reads as there; -1 if there is none.
int HeadPage::LastMark(Marks marks) const {
  for (uint32_t slot = kSlots; slot-- > 0;) {
    for (int read = 0; read < kReads; ++read) {
      uint32_t words[kMarkWords];
      if (!ReadWords(FirstWord(marks) + kMarkWords * slot, words, kMarkWords)) return -1;
      if (words[0] == ValueOf(marks) && IsWhole({words[0], words[1]}))
        return static_cast<int>(slot);
    }
  }
  return -1;
}

// The slot behind the last one that is not blank.
uint32_t HeadPage::FreeSlot(uint32_t first_word, uint32_t slots) const {
  for (uint32_t slot = slots; slot-- > 0;) {
    for (int read = 0; read < kReads; ++read) {
      uint32_t words[kMarkWords];
      if (!ReadWords(first_word + kMarkWords * slot, words, kMarkWords)) return slots;
      if (!IsBlank({words[0], words[1]})) return slot + 1;
    }
  }
  return 0;
}

bool HeadPage::Done() const {
  const int done = LastMark(Marks::kDone);
  const int commit = LastMark(Marks::kCommit);
  return commit >= 0 && done >= commit;
}

// The slot behind all marks that show. A mark that a cut tore without a trace may lie just there.
uint32_t HeadPage::NextSlot() const {
  const uint32_t commits = FreeSlot(FirstWord(Marks::kCommit), kSlots);
  const uint32_t dones = FreeSlot(FirstWord(Marks::kDone), kSlots);
  return commits > dones ? commits : dones;
}

bool HeadPage::AddCommit() {
  const uint32_t slot = NextSlot();
  if (slot == 0) return AddMark(Marks::kCommit, slot);
  // The last slot is for the done mark.
  if (slot + 2 >= kSlots) return Committed();
  // Two, for beside the first one there may be a done mark that does not show yet.
  return AddMark(Marks::kCommit, slot) && AddMark(Marks::kCommit, slot + 1);
}

bool HeadPage::AddDone() {
  const uint32_t slot = NextSlot();
  if (slot == kSlots && Done()) return true;
  return AddMark(Marks::kDone, slot < kSlots ? slot : kSlots - 1);
}

bool HeadPage::AddMark(Marks marks, uint32_t slot) {
  const Mark mark = MarkOf(ValueOf(marks));
  const uint32_t words[kMarkWords] = {mark.word, mark.complement};
  for (; slot < kSlots; ++slot) {
    const uint32_t word = FirstWord(marks) + kMarkWords * slot;
    if (WriteVerified(flash_, offset_ + 4 * word, words, kMarkWords)) return true;
  }
  return false;
}

bool HeadPage::KillCommit() {
  const uint32_t zeros[kMarkWords] = {0, 0};
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    const uint32_t word = FirstWord(Marks::kCommit) + kMarkWords * slot;
    // This slot and the next one. Zeros may be those of a cut that came before they were certain,
    // unless the slot behind shows that they were finished.
    uint32_t words[2 * kMarkWords] = {};
    const bool is_last = slot + 1 == kSlots;
    if (!ReadWords(word, words, is_last ? kMarkWords : 2 * kMarkWords)) return false;
    const bool is_zero = words[0] == 0 && words[1] == 0;
    if (is_zero && !IsBlank({words[2], words[3]})) continue;
    if (!WriteVerified(flash_, offset_ + 4 * word, zeros, kMarkWords)) return false;
  }
  return true;
}

uint32_t HeadPage::NoteSlots() const {
  return (FirstWord(Marks::kCommit) - header_.head_words) / kMarkWords;
}

bool HeadPage::AddNote(Note note, uint32_t value) {
  const Mark mark = MarkOf(NoteWord(note, value));
  const uint32_t words[kMarkWords] = {mark.word, mark.complement};
  const uint32_t slot = FreeSlot(header_.head_words, NoteSlots());
  if (slot == NoteSlots()) return false;
  return WriteVerified(flash_, offset_ + 4 * (header_.head_words + kMarkWords * slot), words,
                       kMarkWords);
}

bool HeadPage::ReadNote(Note note, uint32_t i, uint32_t* value) const {
  uint32_t words[kMarkWords];
  if (!ReadWords(header_.head_words + kMarkWords * i, words, kMarkWords)) return false;
  const Mark mark = {words[0], words[1]};
  if (!IsWhole(mark) || mark.word >> 24 != static_cast<uint32_t>(note)) return false;
  *value = mark.word & 0xffffffu;
  return true;
}

}  // namespace medyate
