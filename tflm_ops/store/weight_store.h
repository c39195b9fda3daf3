#ifndef TFLM_OPS_STORE_WEIGHT_STORE_H_
#define TFLM_OPS_STORE_WEIGHT_STORE_H_

// Base weights in flash that change a whole epoch at a time: whenever the power goes, the next
// start finds either all the weights from before a commit or all those from after it.
//
// docs/weight_store.md has the protocol and the argument why it holds. In short: new images of the
// pages that change go into a journal; a commit mark makes them valid; the pages are erased and
// rewritten from there; a done mark ends it. A start after the commit mark and before the done mark
// does the third step again.
//
//   uint32_t page[1024];
//   WeightStore store(&flash, config, page);
//   StoreStatus status = store.Open(ForeignState::kRefuse);
//   ...
//   status = store.Commit({&runs, RunMode::kAdd, pool, pool_floats, nullptr, 0});
//   if (status == StoreStatus::kOk) ClearDeltas(...);
//
// No heap; RAM is one page, the caller's, and about 150 bytes of state. Not thread-safe. The flash
// must not be written behind its back.

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
  kWeightsChanged,   // The weights are not those that the journal knows: flashed anew, or decayed.
  kJournalDamaged,   // There were commits, but no head of one can be read.
  // The flash fails. Training can go on in RAM.
  kJournalFailed,  // In the journal: the weights are those of the last commit.
  kWeightsFailed,  // A weight page: the new weights are safe in the journal; see detail().
  kNotClosed,      // The journal cannot be marked; the next start finds the new weights.
};

// The status in words, as in "kWornOut".
const char* StatusName(StoreStatus status);

struct StoreConfig {
  uint32_t model_hash[2];   // Low half first. Another model, another hash.
  uint32_t weights_offset;  // Of the first weight page.
  uint32_t weight_pages;
  uint32_t journal_offset;  // Of the first journal page.
  uint32_t journal_pages;   // At least 3: a commit of n pages needs n + 2.
  uint32_t cycle_limit;     // Erases a page may see; 0 for no limit.
  bool has_factory_crc;
  uint32_t factory_crc;  // CRC-32 of the weight pages as the image ships them.
};

// What Open does about weights or a journal that do not belong together.
enum class ForeignState : uint8_t {
  // Returns kOtherModel or kWeightsChanged, and leaves everything as it is but for the marks of a
  // transaction that was never committed.
  kRefuse,
  // Takes the weights that lie in flash as the new start. Drops the records.
  kDropLearned,
};

// What a commit changes, all of it or nothing. Runs should not overlap; if they do, they are
// applied in their order.
struct Change {
  const RunList* runs;  // Null for none.
  RunMode mode;
  const float* pool;  // [pool_floats]
  uint32_t pool_floats;
  const RecordChange* records;  // [record_count]
  uint32_t record_count;
};

// More about the last status.
struct StoreDetail {
  uint32_t images;         // Weight pages that the commit changes.
  uint32_t journal_bytes;  // Size of a journal for it.
  uint32_t head_bytes;     // Size of its head, without marks.
  uint32_t run;            // Number of the offending run.
  uint32_t failed_offset;  // Of the page that failed or is worn out.
  uint32_t image_offset;   // kWeightsFailed: where its right content lies.
};

class WeightStore {
 public:
  // Args:
  //   page: [page_bytes / 4], scratch of every call.
  WeightStore(Flash* flash, const StoreConfig& config, uint32_t* page)
      : flash_(flash), config_(config), page_(page) {}

  // Finds the last commit and completes it if a power cut came in between; on a new device, begins
  // the journal. To be called before the weights are used. Without kOk there are no commits.
  StoreStatus Open(ForeignState foreign);

  // Adds deltas to the weights, and changes records. The pool is only read: with anything but kOk
  // the deltas are still there.
  StoreStatus Commit(const Change& change);

  // Replaces all weights, by words that come in parts: BeginReplace, Replace until all are there,
  // FinishReplace. They go into the journal as they come, so that this takes no RAM, and count from
  // FinishReplace on. A commit, BeginReplace or Open in between abandons it.
  //
  // Returns:
  //   With anything but kOk it is abandoned. The rest as for Commit.
  StoreStatus BeginReplace();

  // Args:
  //   words: [count], the next ones: float32 weights as they shall lie in flash.
  StoreStatus Replace(const uint32_t* words, uint32_t count);

  // Commits them, and the changes of records, all or nothing. After kHeadFull it may be called
  // again, with fewer records.
  StoreStatus FinishReplace(const RecordChange* records, uint32_t record_count);

  // Whether the weights in flash are those of the last commit, bit for bit, whatever the status.
  bool AreWeightsRight() const;

  // Looks for a record; see records.h. False also if the store is not open.
  bool ReadRecord(const char* name, void* data, uint32_t room, uint32_t* bytes) const;

  // Commits so far, the first being the journal's beginning; 0 if not open.
  uint32_t sequence() const { return has_head_ ? head_.header().sequence : 0; }

  const StoreDetail& detail() const { return detail_; }

  // Erases that each page has seen, as far as the journal knows: weight pages, then journal pages.
  //
  // Returns:
  //   [weight_pages + journal_pages] in the page buffer, until the next call; null if not open.
  const uint32_t* EraseCounts();

 private:
  // weight_store.cc
  bool IsConfigSound() const;
  bool FindHead(uint32_t* latest);
  bool KillUnfinished();
  bool IsForeign() const;
  StoreStatus OpenHead();
  StoreStatus StartOver();
  StoreStatus Block(StoreStatus status);
  uint32_t NextPage() const;
  uint32_t Journal(uint32_t page) const;
  uint32_t NextImage(uint32_t image) const;
  uint32_t Weights(uint32_t page) const;
  bool LoadCounts(uint32_t* counts) const;
  void CountImages(uint32_t image, uint32_t* counts) const;
  void CountJournal(uint32_t pages, uint32_t* counts) const;
  void CountNotes(uint32_t* counts) const;

  // weight_store_commit.cc
  StoreStatus Failed(StoreStatus status, uint32_t offset);
  StoreStatus Check(const Change& change);
  StoreStatus CheckRuns(const Change& change);
  StoreStatus CheckWear(const Change& change);
  StoreStatus CheckImages(const Change& change);
  StoreStatus CheckRoom(const Change& change);
  bool Touches(const Change& change, uint32_t page) const;
  StoreStatus Compose(const Change& change, uint32_t page);
  StoreStatus Write(const Change& change, bool start_over);
  bool OpenJournal(bool* noted);
  StoreStatus WriteImages(const Change& change);
  StoreStatus WriteHead(const Change& change, bool start_over, bool noted);
  bool ComposeHead(const Change& change, bool start_over, bool noted, HeadHeader* header);
  bool TabulatePages(const Change& change, HeadHeader* header);
  StoreStatus Replay(bool is_new);
  StoreStatus PutInPlace(uint32_t image, const ImageEntry& entry);
  bool RestIsRight() const;

  // weight_store_replace.cc
  uint32_t WeightWords() const;
  StoreStatus Abandon(StoreStatus status);
  StoreStatus WriteWords(const uint32_t* words, uint32_t count);
  bool ImagesAreRight() const;

  Flash* flash_;
  StoreConfig config_;
  uint32_t* page_;
  StoreStatus blocked_ = StoreStatus::kNotOpen;  // What Commit returns unless kOk.
  HeadPage head_;                                // Of the last commit.
  uint32_t head_page_ = 0;                       // Its number in the journal.
  bool has_head_ = false;
  bool done_is_certain_ = false;  // Its done mark was written since the start.
  StoreDetail detail_ = {};
  bool is_replacing_ = false;   // Between BeginReplace and FinishReplace:
  bool replace_noted_ = false;  // its erases are noted in the last head;
  uint32_t replace_words_ = 0;  // words that lie in the journal,
  uint32_t replace_crc_ = 0;    // and their CRC-32.
};

}  // namespace medyate

#endif  // TFLM_OPS_STORE_WEIGHT_STORE_H_
