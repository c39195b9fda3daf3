#ifndef TFLM_OPS_STORE_RECORDS_H_
#define TFLM_OPS_STORE_RECORDS_H_

// Small named records (names of enrolled classes, counters) that live in the head of the journal
// and change together with the weights, or alone, under the same guarantees.
//
// A record is {bytes of the name | bytes of the data << 8}, the name, the data, the latter two
// filled up with zeros to whole words.

#include <stdint.h>

#include "tflm_ops/store/head_page.h"

namespace medyate {

constexpr uint32_t kMostNameBytes = 255;
constexpr uint32_t kMostRecordBytes = 65535;

// What a commit does to one record: replaces it, adds it, or removes it if `data` is null.
// "folder/" and no data removes all records whose names begin so.
struct RecordChange {
  const char* name;  // Ends with a zero byte; 1 to 255 bytes before that.
  const void* data;
  uint32_t bytes;  // 0 to 65,535.
};

// Whether every change has a name and a size that can be stored.
bool AreValid(const RecordChange* changes, uint32_t count);

// The records of `old`, changed. A name that comes twice among the changes takes the last one.
//
// Args:
//   out: [room] words, or null to count only.
//
// Returns:
//   How many words the records take; more than `room` if they were not written whole.
uint32_t ChangeRecords(const HeadPage& old, const RecordChange* changes, uint32_t count,
                       uint32_t* out, uint32_t room);

// Reads the record of that name.
//
// Args:
//   data: [room] bytes.
//   bytes: size of the record, even if it exceeds the room; overwritten.
//
// Returns:
//   Whether there is one. Its first `room` bytes have been copied.
bool ReadRecord(const HeadPage& head, const char* name, void* data, uint32_t room, uint32_t* bytes);

}  // namespace medyate

#endif  // TFLM_OPS_STORE_RECORDS_H_
