#include "tflm_ops/device/framing.h"

#include <string.h>

#include "tflm_ops/store/crc32.h"

namespace medyate {
namespace {

const uint8_t kLongestRun = 254;  // Bytes that one code byte counts; then no zero follows.

// Gathers bytes, so that a sink need not send them one by one.
class Batch {
 public:
  explicit Batch(ByteSink* sink) : sink_(sink) {}

  void Put(uint8_t byte) {
    if (size_ == sizeof(bytes_)) Flush();
    bytes_[size_++] = byte;
  }

  void Flush() {
    if (size_ > 0) sink_->Write(bytes_, size_);
    size_ = 0;
  }

 private:
  ByteSink* sink_;
  uint8_t bytes_[64];
  size_t size_ = 0;
};

void PutStuffed(const uint8_t* data, uint32_t bytes, Batch* batch) {
  uint32_t at = 0;
  for (bool more = true; more;) {
    uint8_t run = 0;
    while (run < kLongestRun && at + run < bytes && data[at + run] != 0) ++run;
    batch->Put(static_cast<uint8_t>(run + 1));
    for (uint8_t i = 0; i < run; ++i) batch->Put(data[at + i]);
    at += run;
    more = at < bytes;
    if (more && run < kLongestRun) ++at;  // The zero that ended the run.
  }
}

}  // namespace

void SealFrame(const FrameHeader& header, uint32_t* frame) {
  uint8_t* bytes = reinterpret_cast<uint8_t*>(frame);
  memcpy(bytes, &header, sizeof(header));
  const uint32_t size = kFrameHeaderBytes + header.payload_bytes;
  const uint32_t crc = Crc32(0, bytes, size);
  memcpy(bytes + size, &crc, sizeof(crc));
}

void WriteFrame(const uint32_t* frame, ByteSink* sink) {
  FrameHeader header;
  memcpy(&header, frame, sizeof(header));
  Batch batch(sink);
  // The first zero ends whatever garbage lies on the line.
  batch.Put(0);
  PutStuffed(reinterpret_cast<const uint8_t*>(frame),
             kFrameHeaderBytes + header.payload_bytes + kFrameChecksumBytes, &batch);
  batch.Put(0);
  batch.Flush();
}

FrameReader::Event FrameReader::Push(uint8_t byte) {
  if (byte == 0) return End();
  if (left_ > 0) {
    --left_;
    Append(byte);
    return Event::kNone;
  }
  if (!has_code_) {
    Begin();
  } else if (ends_in_zero_) {
    Append(0);
  }
  has_code_ = true;
  left_ = static_cast<uint8_t>(byte - 1);
  ends_in_zero_ = left_ < kLongestRun;
  return Event::kNone;
}

void FrameReader::Begin() {
  size_ = 0;
  left_ = 0;
  has_code_ = ends_in_zero_ = is_oversized_ = false;
}

void FrameReader::Append(uint8_t byte) {
  if (size_ < 4 * words_) {
    bytes()[size_++] = byte;
  } else {
    is_oversized_ = true;
  }
}

FrameReader::Event FrameReader::End() {
  if (!has_code_) return Event::kNone;
  error_ = Check();
  Begin();
  return error_ == DeviceStatus::kOk ? Event::kFrame : Event::kError;
}

DeviceStatus FrameReader::Check() {
  if (is_oversized_) return DeviceStatus::kOversized;
  if (left_ > 0 || size_ < kFrameHeaderBytes + kFrameChecksumBytes) return DeviceStatus::kTruncated;
  memcpy(&header_, bytes(), sizeof(header_));
  memcpy(&checksum_, bytes() + size_ - kFrameChecksumBytes, sizeof(checksum_));
  const uint32_t announced = kFrameHeaderBytes + header_.payload_bytes + kFrameChecksumBytes;
  if (checksum_ != Crc32(0, bytes(), size_ - kFrameChecksumBytes)) {
    return announced > size_ ? DeviceStatus::kTruncated : DeviceStatus::kBadChecksum;
  }
  return announced == size_ ? DeviceStatus::kOk : DeviceStatus::kBadLength;
}

}  // namespace medyate
