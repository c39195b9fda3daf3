#include "tflm_ops/store/head_page.h"

#include <string.h>

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/flash_io.h"

namespace medyate {
namespace {

const uint32_t kCommitMark = 0xffa55a3cu;
const uint32_t kDoneMark = 0xffc30f69u;
const uint32_t kNextMark = 0xff9669f0u;
const uint32_t kLeastNotes = 8;  // A transaction without power cuts needs two.
const int kReads = 4;            // Of a mark: any that shows it counts.

constexpr bool IsNoNumber(uint32_t word) { return (word & 0x7f800000u) == 0x7f800000u; }
static_assert(IsNoNumber(kHeadMagic) && IsNoNumber(kJournalVersion), "no weights look like a head");
static_assert(IsNoNumber(kCommitMark) && IsNoNumber(kDoneMark) && IsNoNumber(kNextMark),
              "no weights look like a mark");

const uint32_t kCrcWord = offsetof(HeadHeader, crc) / 4;

struct Mark {
  uint32_t word;
  uint32_t complement;
};

Mark MarkOf(uint32_t word) { return {word, ~word}; }
bool IsWhole(const Mark& mark) { return mark.complement == ~mark.word; }

bool HasAtMostOneBit(uint32_t bits) { return (bits & (bits - 1)) == 0; }

// Also with a bit that has decayed: a mark can be written over most of those, and takes another
// slot if not.
bool IsBlank(const Mark& mark) {
  return HasAtMostOneBit(~mark.word) && HasAtMostOneBit(~mark.complement) &&
         (mark.word == kErasedWord || mark.complement == kErasedWord);
}

uint32_t NoteWord(Note note, uint32_t value) { return static_cast<uint32_t>(note) << 24 | value; }

}  // namespace

uint32_t HeadCrc(const uint32_t* head, uint32_t head_words) {
  const uint32_t crc = Crc32(0, head, 4 * kCrcWord);
  return Crc32(crc, head + kHeaderWords, 4 * (head_words - kHeaderWords));
}

bool HeadFits(uint32_t page_bytes, uint32_t head_words) {
  const uint32_t marks = 2 * kSlots + kNextSlots + kLeastNotes;
  const uint32_t words = page_bytes / 4;
  return head_words <= words && kMarkWords * marks <= words - head_words;
}

bool HeadPage::ReadWords(uint32_t word, uint32_t* words, uint32_t count) const {
  if (!flash_->Read(offset_ + 4 * word, words, count)) return false;
  if (mended_word_ - word < count) words[mended_word_ - word] ^= mended_bits_;
  return true;
}

// --- what was written once

// Whether the header says what a head can say.
bool HeadPage::IsPlausible() const {
  const HeadHeader& h = header_;
  const uint32_t most = PageWords();
  return h.magic == kHeadMagic && h.version == kJournalVersion && h.images <= most &&
         h.bulk_pages <= most && h.run_pages <= most && h.weight_pages <= most &&
         h.journal_pages <= most && h.record_words <= most &&
         h.head_words == RecordsWord(h) + h.record_words && h.previous_page < h.journal_pages &&
         HeadFits(flash_->page_bytes(), h.head_words);
}

// CRC of a head of so many words.
bool HeadPage::ReadCrc(uint32_t head_words, uint32_t* crc) const {
  *crc = Crc32(0, &header_, 4 * kCrcWord);
  return FlashCrc(*flash_, offset_ + sizeof(HeadHeader), 4 * (head_words - kHeaderWords), crc);
}

bool HeadPage::Load(bool mends) {
  uint32_t words[kHeaderWords], crc;
  mended_word_ = mended_bits_ = 0;
  if (!ReadWords(0, words, kHeaderWords)) return false;
  memcpy(&header_, words, sizeof(header_));
  if (IsPlausible() && ReadCrc(header_.head_words, &crc) && crc == header_.crc) return true;
  // If the bit is one of those that say how long the head is, either sum of them is right.
  return mends &&
         (MendAs(header_.head_words) || MendAs(RecordsWord(header_) + header_.record_words));
}

// Looks for the flipped bit of a head of so many words.
bool HeadPage::MendAs(uint32_t head_words) {
  uint32_t crc;
  if (head_words < kHeaderWords || !HeadFits(flash_->page_bytes(), head_words) ||
      !ReadCrc(head_words, &crc)) {
    return false;
  }
  const uint32_t difference = crc ^ header_.crc;
  uint32_t word = kCrcWord, bits = difference;
  if (!HasAtMostOneBit(difference)) {  // Else the CRC itself has a flipped bit.
    const uint32_t bit = FlippedBit(difference, head_words - 1);
    if (bit == kNoBit) return false;
    word = bit / 32 < kCrcWord ? bit / 32 : bit / 32 + 1;
    bits = 1u << (bit % 32);
  }
  const HeadHeader as_read = header_;
  uint32_t words[kHeaderWords];
  memcpy(words, &header_, sizeof(header_));
  if (word < kHeaderWords) words[word] ^= bits;
  memcpy(&header_, words, sizeof(header_));
  if (IsPlausible() && header_.head_words == head_words) {
    mended_word_ = word;
    mended_bits_ = bits;
    return true;
  }
  header_ = as_read;
  return false;
}

bool HeadPage::ReadImage(uint32_t image, ImageEntry* entry) const {
  uint32_t word;
  if (!ReadWords(ImageWord(header_, image), &word, 1)) return false;
  *entry = {word & 0xffffu, word >> 16};
  return true;
}

bool HeadPage::ReadBulk(uint32_t i, BulkEntry* entry) const {
  uint32_t words[2];
  if (!ReadWords(BulkWord(header_, i), words, 2)) return false;
  *entry = {words[0], words[1]};
  return true;
}

// --- marks

uint32_t HeadPage::ValueOf(Marks marks) {
  if (marks == Marks::kNext) return kNextMark;
  return marks == Marks::kCommit ? kCommitMark : kDoneMark;
}

uint32_t HeadPage::FirstWord(Marks marks) const {
  const uint32_t next = PageWords() - kMarkWords * kNextSlots;
  if (marks == Marks::kNext) return next;
  return next - kMarkWords * kSlots * (marks == Marks::kCommit ? 2 : 1);
}

// The highest slot whose mark reads as there; -1 if there is none.
int HeadPage::LastMark(Marks marks) const {
  for (uint32_t slot = SlotsOf(marks); slot-- > 0;) {
    for (int read = 0; read < kReads; ++read) {
      uint32_t words[kMarkWords];
      if (!ReadWords(FirstWord(marks) + kMarkWords * slot, words, kMarkWords)) return -1;
      if (words[0] == ValueOf(marks) && IsWhole({words[0], words[1]})) {
        return static_cast<int>(slot);
      }
    }
  }
  return -1;
}

// The slot after the last one that is not blank.
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

bool HeadPage::Committed() const {
  return LastMark(Marks::kCommit) >= 0 || LastMark(Marks::kDone) >= 0;
}

bool HeadPage::Done() const {
  const int done = LastMark(Marks::kDone);
  return done >= 0 && done >= LastMark(Marks::kCommit);
}

bool HeadPage::IsSuperseded() const { return LastMark(Marks::kNext) >= 0; }

// The slot after all marks that show. A mark that a cut tore without a trace may lie just there.
uint32_t HeadPage::NextSlot() const {
  const uint32_t commits = FreeSlot(FirstWord(Marks::kCommit), kSlots);
  const uint32_t dones = FreeSlot(FirstWord(Marks::kDone), kSlots);
  return commits > dones ? commits : dones;
}

bool HeadPage::AddCommit() {
  const uint32_t slot = NextSlot();
  if (slot == 0) return AddMarks(Marks::kCommit, slot, 2) > 0;
  // The last slot is for the done mark.
  if (slot + 2 >= kSlots) return Committed();
  // Two, for beside the first one there may be a done mark that does not show yet.
  return AddMarks(Marks::kCommit, slot, 2) == 2;
}

bool HeadPage::AddDone(uint32_t copies) {
  const uint32_t slot = NextSlot();
  if (slot == kSlots && Done()) return true;
  return AddMarks(Marks::kDone, slot < kSlots ? slot : kSlots - 1, copies) > 0;
}

// Writes so many marks into the slots from this one on that take one; returns how many did.
uint32_t HeadPage::AddMarks(Marks marks, uint32_t slot, uint32_t copies) {
  const Mark mark = MarkOf(ValueOf(marks));
  const uint32_t words[kMarkWords] = {mark.word, mark.complement};
  uint32_t added = 0;
  for (; slot < SlotsOf(marks) && added < copies; ++slot) {
    const uint32_t word = FirstWord(marks) + kMarkWords * slot;
    if (WriteVerified(flash_, offset_ + 4 * word, words, kMarkWords)) ++added;
  }
  return added;
}

void HeadPage::AddNext() {
  const uint32_t slot = FreeSlot(FirstWord(Marks::kNext), kNextSlots);
  if (slot >= 2 && IsSuperseded()) return;
  AddMarks(Marks::kNext, slot, slot == 0 ? 2 : 1);
}

bool HeadPage::Kill(Marks marks) {
  const uint32_t zeros[kMarkWords] = {0, 0};
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    const uint32_t word = FirstWord(marks) + kMarkWords * slot;
    // This slot and the next one. Zeros may be those of a cut that came before they were certain,
    // unless the slot after it shows that they were finished.
    uint32_t words[2 * kMarkWords] = {};
    const bool is_last = slot + 1 == kSlots;
    if (!ReadWords(word, words, is_last ? kMarkWords : 2 * kMarkWords)) return false;
    const bool is_zero = words[0] == 0 && words[1] == 0;
    if (is_zero && !IsBlank({words[2], words[3]})) continue;
    if (!WriteVerified(flash_, offset_ + 4 * word, zeros, kMarkWords)) return false;
  }
  return true;
}

// --- notes

uint32_t HeadPage::NoteSlots() const {
  return (FirstWord(Marks::kCommit) - header_.head_words) / kMarkWords;
}

uint32_t HeadPage::NotesLeft() const {
  return NoteSlots() - FreeSlot(header_.head_words, NoteSlots());
}

bool HeadPage::AddNote(Note note, uint32_t value) {
  const Mark mark = MarkOf(NoteWord(note, value));
  const uint32_t words[kMarkWords] = {mark.word, mark.complement};
  for (uint32_t slot = NoteSlots() - NotesLeft(); slot < NoteSlots(); ++slot) {
    const uint32_t word = header_.head_words + kMarkWords * slot;
    if (WriteVerified(flash_, offset_ + 4 * word, words, kMarkWords)) return true;
  }
  return false;
}

bool HeadPage::ReadNote(Note note, uint32_t i, uint32_t* value) const {
  uint32_t words[kMarkWords];
  if (!ReadWords(header_.head_words + kMarkWords * i, words, kMarkWords)) return false;
  const Mark mark = {words[0], words[1]};
  if (!IsWhole(mark) || mark.word >> 24 != static_cast<uint32_t>(note)) return false;
  *value = mark.word & 0xffffffu;
  return true;
}

uint32_t HeadPage::ReadNoteMended(Note note, uint32_t i, uint32_t* values) const {
  uint32_t words[kMarkWords], count = 0;
  if (!ReadWords(header_.head_words + kMarkWords * i, words, kMarkWords)) return 0;
  const uint32_t wrong = words[0] ^ ~words[1];
  if (!HasAtMostOneBit(wrong)) return 0;
  const uint32_t said[2] = {words[0], ~words[1]};
  for (uint32_t k = 0; k < (wrong == 0 ? 1u : 2u); ++k) {
    if (said[k] >> 24 == static_cast<uint32_t>(note)) values[count++] = said[k] & 0xffffffu;
  }
  return count;
}

}  // namespace medyate
