#ifndef TFLM_OPS_STORE_HEAD_PAGE_H_
#define TFLM_OPS_STORE_HEAD_PAGE_H_

// The first journal page of a transaction: what it consists of, and how far it has come.
// docs/weight_store.md describes the format and why it survives a power cut at any instant.
//
//   words from the page's start        written once, before anything depends on it
//     HeadHeader                       16 words
//     CRC of each weight page          once the transaction is done
//     images x ImageEntry              the pages that the transaction replaces, rising
//     bulk and run pages x BulkEntry   pages of bulk data, then of packed runs
//     erase counts                     weight pages, then journal pages
//     records                          see records.h
//   words from the page's end          marks of two words each, written one by one
//     notes                            what is being erased, for the erase counts
//     commit marks, done marks         kSlots of each, all of the same value
//     marks of the next transaction    that there is a later head
//
// A mark is a word and its complement. A write only clears bits, so a mark that a power cut tore
// reads as itself or as none, never as another one. All marks of a kind have one value, so a mark
// that was torn without a trace is written again with the same bits.
//
// Pages of weights hold finite numbers. The first two words of a head and each mark are none: no
// weights, wherever they come from, can be taken for a mark or a head, the latter not even if one
// of their bits was flipped.

#include <stddef.h>
#include <stdint.h>

#include "tflm_ops/store/flash.h"

namespace medyate {

constexpr uint32_t kHeadMagic = 0xffd9444du;
constexpr uint32_t kJournalVersion = 0xffc00002u;  // The last digit rises.
constexpr uint32_t kFirstMagic = 0x4a59444du;      // Of version 1.
constexpr uint32_t kSlots = 16;     // Marks of a kind: so many cuts may fall into writing one.
constexpr uint32_t kNextSlots = 4;  // The same for those of the next transaction.
constexpr uint32_t kMarkWords = 2;  // A word and its complement.
constexpr uint32_t kAllImages = 0xffffffu;
constexpr uint32_t kFactoryPage = 0xffffu;

struct HeadHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t sequence;       // 1, 2, 3 ...: one up for each transaction.
  uint32_t model_hash[2];  // Low half first.
  uint32_t weights_offset;
  uint32_t weight_pages;
  uint32_t journal_pages;
  uint32_t images;         // Pages that the transaction replaces.
  uint32_t bulk_pages;     // Pages of bulk data,
  uint32_t bulk_words;     // and the words in them.
  uint32_t previous_page;  // Journal page of the head before this one; its own if there was none.
  uint32_t record_words;   // Words of records.
  uint32_t head_words;     // Header, tables, erase counts and records together.
  uint32_t run_pages;      // Pages of packed runs; 0: there are none, but whole images.
  uint32_t crc;            // Of the words 0 to head_words - 1 without this one.
};

constexpr uint32_t kHeaderWords = sizeof(HeadHeader) / 4;
static_assert(sizeof(HeadHeader) == 64, "HeadHeader");
static_assert(offsetof(HeadHeader, crc) == 60, "crc is the last word");

// One page that a transaction replaces; a word in flash.
struct ImageEntry {
  uint32_t page;          // Number of the weight page.
  uint32_t journal_page;  // Where its new content lies, or will: a spare page that others share.
                          // kFactoryPage: in the factory copy.
};

struct BulkEntry {
  uint32_t journal_page;
  uint32_t crc;
};

enum class Note : uint32_t {
  kEraseWeights = 0x5a,  // Value i: image i's weight page is being erased; kAllImages: all are,
                         // and the spare pages for them.
  kEraseJournal = 0xa5,  // Value n: the next transaction's n journal pages are being erased.
  // Value image | spare page << 12: the image lies in the spare page, and its weight page is being
  // replaced from there. The last one counts.
  kHeld = 0x3c,
};

// Where the parts of a head lie, in words from its start.
inline uint32_t CrcWord(uint32_t page) { return kHeaderWords + page; }
inline uint32_t ImageWord(const HeadHeader& header, uint32_t image) {
  return kHeaderWords + header.weight_pages + image;
}
inline uint32_t BulkWord(const HeadHeader& header, uint32_t i) {
  return ImageWord(header, header.images) + 2 * i;
}
inline uint32_t CountsWord(const HeadHeader& header) {
  return BulkWord(header, header.bulk_pages + header.run_pages);
}
inline uint32_t RecordsWord(const HeadHeader& header) {
  return CountsWord(header) + header.weight_pages + header.journal_pages;
}

// CRC of a head in memory; its field `crc` is left out.
uint32_t HeadCrc(const uint32_t* head, uint32_t head_words);

// Whether a page has room for a head of so many words, and for its marks.
bool HeadFits(uint32_t page_bytes, uint32_t head_words);

class HeadPage {
 public:
  HeadPage() = default;
  HeadPage(Flash* flash, uint32_t offset) : flash_(flash), offset_(offset) {}

  // Reads the header. False if the page is not a head, whole and with a right CRC.
  //
  // Args:
  //   mends: takes a head of which one bit was flipped, and reads it flipped back.
  bool Load(bool mends = false);

  const HeadHeader& header() const { return header_; }
  bool is_mended() const { return mended_bits_ != 0; }
  bool ReadWords(uint32_t word, uint32_t* words, uint32_t count) const;
  bool ReadPageCrc(uint32_t page, uint32_t* crc) const { return ReadWords(CrcWord(page), crc, 1); }
  bool ReadImage(uint32_t image, ImageEntry* entry) const;
  bool ReadBulk(uint32_t i, BulkEntry* entry) const;
  bool ReadRunPage(uint32_t i, BulkEntry* entry) const {
    return ReadBulk(header_.bulk_pages + i, entry);
  }

  // Whether the transaction is valid, and whether it is in place: a done mark counts if it stands
  // beside the last commit mark or after it, and is proof of a commit mark. Read several times,
  // for a torn mark may read differently each time. They need no header.
  bool Committed() const;
  bool Done() const;

  // Whether there has been a later transaction that was committed.
  bool IsSuperseded() const;

  // Writes marks behind all others. After that they read as there for good, which a mark found
  // after a restart need not do: it may be a torn one; and they overrule all marks of the other
  // kind before them, torn ones included. Once the slots are used up, marks that were found have to
  // do. False if the flash fails.
  //
  // Args:
  //   copies: two of each guard against rot; one is enough beside others.
  bool AddCommit();
  bool AddDone(uint32_t copies);

  // Says that there is a later transaction. It is only looked at if that one cannot be read.
  void AddNext();

  // Overwrites all commit marks, and all done marks, with zeros, after which none can ever read as
  // there.
  bool KillCommit() { return Kill(Marks::kCommit); }
  bool KillDone() { return Kill(Marks::kDone); }

  // Appends a note if there is room for one, and says if there was.
  bool AddNote(Note note, uint32_t value);
  uint32_t NotesLeft() const;

  // Note number i of so many slots; false if it is not one of this kind, or not whole.
  uint32_t NoteSlots() const;
  bool ReadNote(Note note, uint32_t i, uint32_t* value) const;

  // The same, but for a flipped bit: what it may say.
  //
  // Returns:
  //   How many values there are: 0, 1 or 2.
  uint32_t ReadNoteMended(Note note, uint32_t i, uint32_t* values) const;

 private:
  enum class Marks { kCommit, kDone, kNext };

  uint32_t PageWords() const { return flash_->page_bytes() / 4; }
  bool IsPlausible() const;
  bool ReadCrc(uint32_t head_words, uint32_t* crc) const;
  bool MendAs(uint32_t head_words);
  static uint32_t ValueOf(Marks marks);
  static uint32_t SlotsOf(Marks marks) { return marks == Marks::kNext ? kNextSlots : kSlots; }
  uint32_t FirstWord(Marks marks) const;
  uint32_t FreeSlot(uint32_t first_word, uint32_t slots) const;
  int LastMark(Marks marks) const;
  uint32_t NextSlot() const;
  uint32_t AddMarks(Marks marks, uint32_t slot, uint32_t copies);
  bool Kill(Marks marks);

  Flash* flash_ = nullptr;
  uint32_t offset_ = 0;
  HeadHeader header_ = {};
  uint32_t mended_word_ = 0;  // Where a bit was flipped,
  uint32_t mended_bits_ = 0;  // and which; 0: none.
};

}  // namespace medyate

#endif  // TFLM_OPS_STORE_HEAD_PAGE_H_
