#ifndef TFLM_OPS_STORE_WEIGHT_STORE_H_
#define TFLM_OPS_STORE_WEIGHT_STORE_H_

// Weights in flash that change a whole epoch at a time: whenever the power goes, the next
// start finds either all the weights from before a commit or all those from after it.
//
// docs/weight_store.md has the protocol and the argument why it holds. In short: new images of the
// pages that change go into a journal; a commit mark makes them valid; the pages are erased and
// rewritten from there; a done mark ends it. A start after the commit mark and before the done mark
// does the third step again.
// If the journal is too small for those images, the runs that change go into it instead, and each
// image is composed in a spare page before its weight page is erased.
//
//   uint32_t page[1024];
//   WeightStore store(&flash, config, page);
//   StoreStatus status = store.Open(ForeignState::kRefuse);
//   ...
//   status = store.Commit({&runs, pool, pool_floats, nullptr, 0, nullptr});
//
// No heap; RAM is one page, the caller's, and less than 200 bytes of state. Not thread-safe. The
// flash must not be written behind its back.

#include <stdint.h>

#include "tflm_ops/store/flash.h"
#include "tflm_ops/store/head_page.h"
#include "tflm_ops/store/records.h"
#include "tflm_ops/store/weight_runs.h"

namespace medyate {

enum class StoreStatus : uint8_t {
  kOk,
  // Nothing was written: the weights are those of the last commit.
  kNotOpen,          // Open was not called.
  kBadConfig,        // Offsets, sizes or the page buffer do not fit the flash.
  kBadRuns,          // A run leaves the pool or the weights; see detail().run. Or FinishReplace
                     // has too few words, Replace too many or no beginning.
  kBadRecord,        // A record's name is empty or over 255 bytes, or its data too long.
  kNotFinite,        // A weight would become infinite or not a number; see detail().run.
  kJournalTooSmall,  // See detail().journal_bytes.
  kHeadFull,         // Erase counts, page table and records exceed a page; detail().head_bytes.
  kWornOut,          // A page has had cycle_limit erases; see detail().failed_offset.
  kOtherModel,       // The journal belongs to another model.
  kWeightsChanged,   // The weights are not those that the journal knows: flashed again, or decayed.
  kJournalDamaged,   // There were commits, but the last one cannot be read.
  // The flash fails. Training can go on in RAM.
  kJournalFailed,  // In the journal: the weights are those of the last commit.
  kWeightsFailed,  // A weight page: the new weights are safe in the journal; see detail().
  kNotClosed,      // The journal cannot be marked; the next start finds the new weights.
  // Nothing was written, either:
  kOtherLayout,  // The journal was written by a firmware with another layout of it.
};

// The status in words, as in "kWornOut".
const char* StatusName(StoreStatus status);

struct StoreConfig {
  uint32_t model_hash[2];   // Low half first. Another model, another hash.
  uint32_t weights_offset;  // Of the first weight page.
  uint32_t weight_pages;
  uint32_t journal_offset;  // Of the first journal page.
  uint32_t journal_pages;   // At least 3: a commit of n pages needs n + 2, and twice those of bulk.
  uint32_t cycle_limit;     // Erases a page may see; 0 for no limit.
  bool has_factory_crc;
  uint32_t factory_crc;  // CRC-32 of the weight pages as the image ships them.
  const float* factory;  // A copy of them that nothing changes, for Restore; may be null.
  uint32_t run_pages;  // Most pages of packed runs, for commits of which the images do not fit the
                       // journal: it needs these and 4, and twice those of bulk. 0: no runs.
};

// What Open does about weights or a journal that do not belong together.
enum class ForeignState : uint8_t {
  // Returns kOtherModel, kOtherLayout, kWeightsChanged or kJournalDamaged, and leaves everything as
  // it is but for the marks of a transaction that was never committed.
  kRefuse,
  // Takes the weights that lie in flash as the new start. Drops records and bulk data.
  kDropLearned,
};

// Data of any size that are committed along with the weights, in journal pages of their own.
struct Bulk {
  const void* data;  // [words], aligned to 4 bytes.
  uint32_t words;    // 0: there are none from now on.
};

// What a commit changes, all of it or nothing. Runs should not overlap; if they do, they are
// applied in their order.
struct Change {
  const RunList* runs;  // Null for none.
  const float* pool;    // [pool_floats]
  uint32_t pool_floats;
  const RecordChange* records;  // [record_count]
  uint32_t record_count;
  const Bulk* bulk;  // Null: they stay.
};

class PackedRuns;

// More about the last status.
struct StoreDetail {
  uint32_t images;         // Weight pages that the commit changes.
  uint32_t run_words;      // Of packed runs; 0 if whole images go into the journal.
  uint32_t journal_bytes;  // Size of a journal for it.
  uint32_t head_bytes;     // Size of its head, without marks.
  uint32_t run;            // Number of the offending run.
  uint32_t failed_offset;  // Of the page that failed or is worn out.
  uint32_t image_offset;   // kWeightsFailed: where its right content lies; all ones: in the
                           // factory copy.
};

class WeightStore {
 public:
  // Args:
  //   page: [page_bytes / 4], scratch of every call.
  WeightStore(Flash* flash, const StoreConfig& config, uint32_t* page)
      : flash_(flash), config_(config), page_(page) {}

  // Finds the last commit and completes it if a power cut came in between; on a new device, begins
  // the journal. A bit that was flipped since, in the journal or in any weight page, is flipped
  // back, by a commit. To be called before the weights are used. Without kOk there are no commits,
  // but all weights can be replaced.
  StoreStatus Open(ForeignState foreign);

  // Sets weights to what the pool holds; changes records and bulk data. The pool is only read: with
  // anything but kOk training can go on with it.
  StoreStatus Commit(const Change& change);

  // Replaces all weights, by words that come in parts: BeginReplace, Replace until all are there,
  // FinishReplace. They go into the journal as they come, so that this takes no RAM, and count from
  // FinishReplace on. A commit, BeginReplace or Open in between abandons it. This works whatever
  // Open has found, except for kBadConfig, and ends what it complained of.
  //
  // Returns:
  //   With anything but kOk it is abandoned. The rest as for Commit.
  StoreStatus BeginReplace();

  // Args:
  //   words: [count], the next ones: float32 weights as they shall lie in flash.
  StoreStatus Replace(const uint32_t* words, uint32_t count);

  // Commits them, and the changes of records and bulk data (null: they stay), all or nothing. After
  // kHeadFull it may be called again, with fewer records.
  StoreStatus FinishReplace(const RecordChange* records, uint32_t record_count, const Bulk* bulk);

  // Replaces all weights by the factory copy, and changes records and bulk data, all or nothing.
  // The journal keeps no images of it, so that this fits each. Works whatever Open has found, as a
  // replacement does.
  //
  // Returns:
  //   kNotFinite if the copy holds such weights; kBadRuns if there is none. The rest as for Commit.
  StoreStatus Restore(const RecordChange* records, uint32_t record_count, const Bulk* bulk);

  // Whether the weights in flash are those of the last commit, bit for bit, whatever the status.
  bool AreWeightsRight() const;

  // Whether records and bulk data can be read. They belong to the weights in flash only if those
  // are right.
  bool HasRecords() const { return has_head_ && !IsForeign(); }

  // Looks for a record; see records.h.
  bool ReadRecord(const char* name, void* data, uint32_t room, uint32_t* bytes) const;

  // Reads the bulk data into data [words]. False if there are not exactly so many, or they are
  // damaged; what is in `data` then is of no use.
  bool ReadBulk(void* data, uint32_t words) const;

  // Commits so far, the first being the journal's beginning; 0 if not open.
  uint32_t sequence() const { return has_head_ ? head_.header().sequence : 0; }

  // Pages in which Open has flipped a bit back. Flash that needs it grows old.
  uint32_t mended() const { return mended_; }

  const StoreDetail& detail() const { return detail_; }

  // Erases that each page has seen, as far as the journal knows: weight pages, then journal pages.
  //
  // Returns:
  //   [weight_pages + journal_pages] in the page buffer, until the next call; null if not open.
  const uint32_t* EraseCounts();

 private:
  // Where the new images of weight pages come from.
  enum class Source : uint8_t {
    kImages,   // The journal.
    kRuns,     // Flash and the packed runs in the journal; composed in spare pages.
    kFactory,  // The factory copy.
  };

  static constexpr uint32_t kSpares = 2;      // At least.
  static constexpr uint32_t kHeldAgain = 24;  // Starts that can note again what they found held.

  // The transaction that is being prepared.
  struct Next {
    Source source;
    uint32_t run_pages;   // Of packed runs.
    uint32_t bulk_words;  // Of bulk data.
  };

  // An image that a spare page holds, so that its weight page may be half-written.
  struct Held {
    uint32_t image;  // kNone: there is none.
    uint32_t spare;  // Number of the spare page.
  };
  static constexpr uint32_t kNone = 0xfff;

  // What a new head goes on from.
  enum class Base : uint8_t {
    kLast,    // The last head.
    kFlash,   // The weights that lie in flash.
    kNobody,  // Nothing: it only keeps the erase counts.
  };

  // weight_store.cc
  bool IsConfigSound() const;
  void FindHead(bool mends);
  bool IsLost() const;
  bool KillUnfinished();
  void KillOthers();
  bool IsForeign() const;
  bool IsFactory() const;
  StoreStatus OpenHead();
  StoreStatus StartOver();
  StoreStatus Block(StoreStatus status);

  // weight_store_pages.cc
  uint32_t Journal(uint32_t page) const;
  uint32_t Weights(uint32_t page) const;
  uint32_t WeightWords() const;
  uint32_t BulkPages(uint32_t words) const;
  uint32_t BulkPart(uint32_t words, uint32_t i) const;
  uint32_t OldBulkPages() const;
  uint32_t FirstPage() const;
  bool IsSpared(uint32_t page) const;
  uint32_t NewPage(uint32_t i) const;
  uint32_t BodyPages() const;
  uint32_t LeastSpares() const { return next_.source == Source::kRuns ? kSpares : 0; }
  uint32_t SparePages() const;
  uint32_t NewPages() const { return 1 + BodyPages() + BulkPages(next_.bulk_words); }
  bool LoadCounts(uint32_t* counts) const;
  void CountImages(uint32_t image, uint32_t* counts) const;
  void CountJournal(uint32_t begin, uint32_t end, uint32_t* counts) const;
  void CountNotes(uint32_t* counts) const;

  // weight_store_commit.cc
  static bool AreFinite(const uint32_t* words, uint32_t count);
  StoreStatus Failed(StoreStatus status, uint32_t offset);
  StoreStatus Check(const Change& change);
  StoreStatus CheckRuns(const Change& change);
  StoreStatus CheckWear(const Change& change);
  StoreStatus CheckImages(const Change& change);
  StoreStatus CheckRoom(const Change& change, Base base);
  void ChooseSource(const Change& change, uint32_t others);
  uint32_t OldBulkWords(Base base) const;
  bool Touches(const Change& change, uint32_t page) const;
  StoreStatus Compose(const Change& change, uint32_t page);
  StoreStatus Write(const Change& change);
  StoreStatus WriteOut(const Change& change, Base base);
  StoreStatus OpenJournal(const Change& change);
  StoreStatus NoteErases(const Change& change);
  StoreStatus WriteEmptyHead();
  StoreStatus WriteImages(const Change& change);
  StoreStatus WriteBulk(const Change& change);

  // weight_store_head.cc
  StoreStatus WriteHead(const Change& change, Base base);
  bool ComposeHead(const Change& change, Base base, HeadHeader* header);
  bool TabulatePages(const Change& change, Base base, const HeadHeader& header);
  uint32_t PlaceOf(uint32_t image) const;
  bool ImageCrc(uint32_t image, uint32_t weight_page, uint32_t* crc) const;
  bool TabulateBulk(const HeadHeader& header);

  // weight_store_replay.cc
  StoreStatus Replay(bool is_new);
  StoreStatus PutImagesInPlace();
  StoreStatus PutInPlace(uint32_t image);
  StoreStatus PutBuffer(uint32_t image, uint32_t from);
  StoreStatus CheckRest(const Held& held);
  bool IsPageRight(uint32_t page) const;
  bool LoadWeights(uint32_t page);
  bool LoadBulk(uint32_t i) const;
  StoreStatus Heal();
  StoreStatus Rewrite(const RunList* runs);

  // weight_store_runs.cc
  uint64_t RunsHeadWords() const;
  uint32_t PackedWords(const Change& change) const;
  StoreStatus WriteRuns(const Change& change);
  uint32_t Spares() const;
  uint32_t Spare(uint32_t i) const;
  bool ApplyRuns(PackedRuns* runs, uint32_t page);
  StoreStatus ComposeImage(PackedRuns* runs, uint32_t image);
  static uint32_t NoteOf(const Held& held);
  static Held HeldOf(uint32_t note);
  bool LoadHeld(PackedRuns* runs, const Held& held);
  Held FindHeld();
  StoreStatus PutRunsInPlace(bool is_new, Held held);
  StoreStatus HoldInSpare(uint32_t image, Held* held);

  // weight_store_replace.cc
  Base ReplaceBase() const;
  bool IsClosed() const;
  StoreStatus BeginAll(const Change& change);
  StoreStatus Abandon(StoreStatus status);
  StoreStatus AppendWords(const uint32_t* words, uint32_t count);
  StoreStatus WriteWords(const uint32_t* words, uint32_t count);
  bool ImagesAreRight() const;

  Flash* flash_;
  StoreConfig config_;
  uint32_t* page_;
  StoreStatus blocked_ = StoreStatus::kNotOpen;  // What Commit returns unless kOk.
  HeadPage head_;                                // Of the last commit that can be read.
  uint32_t head_page_ = 0;                       // Its number in the journal.
  bool has_head_ = false;
  bool is_old_layout_ = false;    // There is a head of another version.
  bool done_is_certain_ = false;  // Its done mark was written since the start.
  uint32_t latest_ = 0;           // Highest sequence number that Open found, committed or not.
  uint32_t mended_ = 0;
  StoreDetail detail_ = {};
  // Of the transaction that is being prepared:
  Next next_ = {};
  uint32_t noted_ = 0;           // Erases of journal pages that are noted in the last head.
  bool is_replacing_ = false;    // Between BeginReplace and FinishReplace.
  uint32_t appended_words_ = 0;  // Words that lie in the journal's pages after the head,
  uint32_t appended_crc_ = 0;    // and their CRC-32.
};

}  // namespace medyate

#endif  // TFLM_OPS_STORE_WEIGHT_STORE_H_
