#include "tflm_ops/store/records.h"

#include <string.h>

namespace medyate {
namespace {

uint32_t WordsOf(uint32_t bytes) { return (bytes + 3) / 4; }

// A record in the head, by its first word.
struct Stored {
  uint32_t word;
  uint32_t name_bytes;
  uint32_t data_bytes;

  uint32_t NameWord() const { return word + 1; }
  uint32_t DataWord() const { return NameWord() + WordsOf(name_bytes); }
  uint32_t EndWord() const { return DataWord() + WordsOf(data_bytes); }
};

// The record at this word. False at the end, or if it does not end within the records.
bool Find(const HeadPage& head, uint32_t word, Stored* stored) {
  const uint32_t end = head.header().head_words;
  uint32_t sizes;
  if (word >= end || !head.ReadWords(word, &sizes, 1)) return false;
  *stored = {word, sizes & 0xff, sizes >> 8};
  return stored->data_bytes <= kMostRecordBytes && stored->EndWord() <= end;
}

// Copies `bytes` bytes that begin with a word of the head.
bool ReadBytes(const HeadPage& head, uint32_t word, uint32_t bytes, void* out) {
  char* to = static_cast<char*>(out);
  for (; bytes > 0; ++word) {
    uint32_t value;
    if (!head.ReadWords(word, &value, 1)) return false;
    const uint32_t n = bytes < 4 ? bytes : 4;
    memcpy(to, &value, n);
    to += n;
    bytes -= n;
  }
  return true;
}

// Whether the record's name begins with these bytes.
bool BeginsWith(const HeadPage& head, const Stored& stored, const char* name, uint32_t bytes) {
  char stored_name[kMostNameBytes];
  return bytes <= stored.name_bytes && ReadBytes(head, stored.NameWord(), bytes, stored_name) &&
         memcmp(stored_name, name, bytes) == 0;
}

bool HasName(const HeadPage& head, const Stored& stored, const char* name) {
  return strlen(name) == stored.name_bytes && BeginsWith(head, stored, name, stored.name_bytes);
}

// Whether a change replaces or removes the record.
bool Concerns(const RecordChange& change, const HeadPage& head, const Stored& stored) {
  const uint32_t bytes = static_cast<uint32_t>(strlen(change.name));
  if (!change.data && change.name[bytes - 1] == '/') {
    return BeginsWith(head, stored, change.name, bytes);
  }
  return HasName(head, stored, change.name);
}

// Takes words as long as there is room, and counts them all.
class Writer {
 public:
  Writer(uint32_t* out, uint32_t room) : out_(out), room_(out ? room : 0) {}
  uint32_t words() const { return words_; }

  // Appends `bytes` bytes, filled up with zeros.
  void Bytes(const void* data, uint32_t bytes) {
    if (words_ + WordsOf(bytes) <= room_ && bytes > 0) {
      out_[words_ + WordsOf(bytes) - 1] = 0;
      memcpy(out_ + words_, data, bytes);
    }
    words_ += WordsOf(bytes);
  }
  void Word(uint32_t word) { Bytes(&word, 4); }

 private:
  uint32_t* out_;
  uint32_t room_;
  uint32_t words_ = 0;
};

// Whether a later change has the same name.
bool IsOverruled(const RecordChange* changes, uint32_t count, uint32_t i) {
  for (uint32_t k = i + 1; k < count; ++k) {
    if (strcmp(changes[k].name, changes[i].name) == 0) return true;
  }
  return false;
}

}  // namespace

bool AreValid(const RecordChange* changes, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (!changes[i].name || changes[i].bytes > kMostRecordBytes) return false;
    const size_t name_bytes = strlen(changes[i].name);
    if (name_bytes == 0 || name_bytes > kMostNameBytes) return false;
  }
  return true;
}

uint32_t ChangeRecords(const HeadPage& old, const RecordChange* changes, uint32_t count,
                       uint32_t* out, uint32_t room) {
  Writer writer(out, room);
  Stored stored;
  for (uint32_t word = RecordsWord(old.header()); Find(old, word, &stored);
       word = stored.EndWord()) {
    bool changed = false;
    for (uint32_t i = 0; i < count; ++i) changed |= Concerns(changes[i], old, stored);
    if (changed) continue;
    for (uint32_t i = word; i < stored.EndWord(); ++i) {
      uint32_t value = 0;
      old.ReadWords(i, &value, 1);
      writer.Word(value);
    }
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (!changes[i].data || IsOverruled(changes, count, i)) continue;
    const uint32_t name_bytes = static_cast<uint32_t>(strlen(changes[i].name));
    writer.Word(name_bytes | changes[i].bytes << 8);
    writer.Bytes(changes[i].name, name_bytes);
    writer.Bytes(changes[i].data, changes[i].bytes);
  }
  return writer.words();
}

bool ReadRecord(const HeadPage& head, const char* name, void* data, uint32_t room,
                uint32_t* bytes) {
  Stored stored;
  for (uint32_t word = RecordsWord(head.header()); Find(head, word, &stored);
       word = stored.EndWord()) {
    if (!HasName(head, stored, name)) continue;
    *bytes = stored.data_bytes;
    return ReadBytes(head, stored.DataWord(), stored.data_bytes < room ? stored.data_bytes : room,
                     data);
  }
  return false;
}

}  // namespace medyate
