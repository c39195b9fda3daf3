#ifndef TFLM_OPS_STORE_HEAD_PAGE_H_
#define TFLM_OPS_STORE_HEAD_PAGE_H_

// The first journal page of a transaction: what it consists of, and how far it has come.
// docs/weight_store.md describes the format and why it survives a power cut at any instant.
//
//   words from the page's start        written once, before anything depends on it
//     HeadHeader                       16 words
//     images x {weight page, CRC}      the pages that the transaction replaces, rising
//     erase counts                     weight pages, then journal pages
//     records                          see records.h
//   words from the page's end          marks of two words each, written one by one
//     notes                            what is being erased, for the erase counts
//     commit marks, done marks         kSlots of each, all of the same value
//
// A mark is a word and its complement. A write only clears bits, so a mark that a power cut tore
// reads as itself or as none, never as another one. All marks of a kind have one value, so a mark
// that was torn without a trace is written again with the same bits.

#include <stddef.h>
#include <stdint.h>

#include "tflm_ops/store/flash.h"

namespace medyate {

constexpr uint32_t kHeadMagic = 0x4a59444du;  // "MDYJ".
constexpr uint32_t kJournalVersion = 1;
constexpr uint32_t kSlots = 16;     // Marks of a kind: so many cuts may fall into writing one.
constexpr uint32_t kMarkWords = 2;  // A word and its complement.
constexpr uint32_t kAllImages = 0xffffffu;

struct HeadHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t sequence;       // 1, 2, 3 ...: one up for each transaction.
  uint32_t model_hash[2];  // Low half first.
  uint32_t weights_offset;
  uint32_t weight_pages;
  uint32_t journal_pages;
  uint32_t images;        // Pages that the transaction replaces; their images follow the head.
  uint32_t weights_crc;   // Of all weight pages once the transaction is done.
  uint32_t rest_crc;      // Of the weight pages that it leaves as they are.
  uint32_t record_words;  // Words of records.
  uint32_t head_words;    // Header, table, erase counts and records together.
  uint32_t spared_page;   // Journal page that the images leave out: the head before this one.
  uint32_t reserved;      // 0.
  uint32_t crc;           // Of the words 0 to head_words - 1 without this one.
};

constexpr uint32_t kHeaderWords = sizeof(HeadHeader) / 4;
static_assert(sizeof(HeadHeader) == 64, "HeadHeader");
static_assert(offsetof(HeadHeader, crc) == 60, "crc");

// One page that a transaction replaces.
struct ImageEntry {
  uint32_t page;  // Number of the weight page.
  uint32_t crc;   // Of its new content.
};

enum class Note : uint32_t {
  kEraseWeights = 0x5a,  // Value i: image i's weight page is being erased; kAllImages: all are.
  kEraseJournal = 0xa5,  // Value n: the next transaction's n journal pages are being erased.
};

// Where the parts of a head lie, in words from its start.
inline uint32_t EntryWord(uint32_t image) { return kHeaderWords + 2 * image; }
inline uint32_t CountsWord(const HeadHeader& header) { return EntryWord(header.images); }
inline uint32_t RecordsWord(const HeadHeader& header) {
  return CountsWord(header) + header.weight_pages + header.journal_pages;
}

// The journal page of an image: they follow their head in the ring, and leave out one page.
//
// Args:
//   head, spared: numbers of journal pages.
//   pages: of the journal.
uint32_t ImagePage(uint32_t head, uint32_t spared, uint32_t image, uint32_t pages);

// CRC of a head in memory; its field `crc` is left out.
uint32_t HeadCrc(const uint32_t* head, uint32_t head_words);

// Whether a page has room for a head of so many words, and for its marks.
bool HeadFits(uint32_t page_bytes, uint32_t head_words);

// A journal page read as a head.
class HeadPage {
 public:
  HeadPage() = default;
  HeadPage(Flash* flash, uint32_t offset) : flash_(flash), offset_(offset) {}

  // Reads the header. False if the page is not a head, whole and with a right CRC.
  bool Load();

  const HeadHeader& header() const { return header_; }
  bool ReadWords(uint32_t word, uint32_t* words, uint32_t count) const;
  bool ReadEntry(uint32_t image, ImageEntry* entry) const;

  // Whether the transaction is valid, and whether it is in place: a done mark counts if it stands
  // beside the last commit mark or behind it. Read several times, for a torn mark may read
  // differently each time.
  bool Committed() const { return LastMark(Marks::kCommit) >= 0; }
  bool Done() const;

  // Writes a mark behind all others. After that it reads as there for good, which a mark found
  // after a restart need not do: it may be a torn one; and it overrules all marks of the other kind
  // before it, torn ones included. Once the slots are used up, marks that were found have to do.
  // False if the flash fails.
  bool AddCommit();
  bool AddDone();

  // Overwrites all commit marks with zeros, after which none can ever read as there.
  bool KillCommit();

  // Appends a note if there is room for one, and says if there was.
  bool AddNote(Note note, uint32_t value);

  // Note number i of so many slots; false if it is not one of this kind, or not whole.
  uint32_t NoteSlots() const;
  bool ReadNote(Note note, uint32_t i, uint32_t* value) const;

 private:
  enum class Marks { kCommit, kDone };

  uint32_t PageWords() const { return flash_->page_bytes() / 4; }
  static uint32_t ValueOf(Marks marks);
  uint32_t FirstWord(Marks marks) const;
  uint32_t FreeSlot(uint32_t first_word, uint32_t slots) const;
  int LastMark(Marks marks) const;
  uint32_t NextSlot() const;
  bool AddMark(Marks marks, uint32_t slot);

  Flash* flash_ = nullptr;
  uint32_t offset_ = 0;
  HeadHeader header_ = {};
};

}  // namespace medyate

#endif  // TFLM_OPS_STORE_HEAD_PAGE_H_
