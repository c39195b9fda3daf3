#ifndef TESTS_TFLM_OPS_DEVICE_PROTOCOL_FRAMES_H_
#define TESTS_TFLM_OPS_DEVICE_PROTOCOL_FRAMES_H_

// Frames of the serial protocol as a host sends and reads them.

#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tflm_ops/device/framing.h"

namespace medyate {

typedef std::vector<uint8_t> Bytes;

class Collector final : public ByteSink {
 public:
  virtual ~Collector() = default;
  void Write(const uint8_t* data, size_t bytes) override {
    written.insert(written.end(), data, data + bytes);
  }
  Bytes written;
};

struct Answer {
  FrameHeader header;
  Bytes payload;
  DeviceStatus status() const { return static_cast<DeviceStatus>(header.status); }
  template <typename Words>
  Words As() const {
    Words words;
    EXPECT_GE(payload.size(), sizeof(words));
    memcpy(&words, payload.data(), std::min(payload.size(), sizeof(words)));
    return words;
  }
};

inline Bytes FrameBytes(const FrameHeader& header, const Bytes& payload) {
  std::vector<uint32_t> frame(5 + payload.size() / 4);
  // An empty vector may have no data.
  if (!payload.empty()) memcpy(frame.data() + 3, payload.data(), payload.size());
  SealFrame(header, frame.data());
  Collector sink;
  WriteFrame(frame.data(), &sink);
  return sink.written;
}

inline Bytes Request(RequestKind kind, uint32_t session, uint32_t sequence, const Bytes& payload) {
  const FrameHeader header = {static_cast<uint8_t>(kind), 0, static_cast<uint16_t>(payload.size()),
                              session, sequence};
  return FrameBytes(header, payload);
}

inline std::vector<Answer> ReadAll(const Bytes& bytes) {
  std::vector<uint32_t> buffer(400);
  FrameReader reader(buffer.data(), static_cast<uint32_t>(buffer.size()));
  std::vector<Answer> answers;
  for (uint8_t byte : bytes) {
    const FrameReader::Event event = reader.Push(byte);
    EXPECT_NE(event, FrameReader::Event::kError) << "the device sent a damaged frame";
    if (event != FrameReader::Event::kFrame) continue;
    const uint8_t* payload = reader.payload();
    answers.push_back({reader.header(), Bytes(payload, payload + reader.header().payload_bytes)});
  }
  return answers;
}

template <typename Words>
Bytes Pack(const Words& words, const void* more = nullptr, size_t bytes = 0) {
  Bytes packed(sizeof(words) + bytes);
  memcpy(packed.data(), &words, sizeof(words));
  if (bytes > 0) memcpy(packed.data() + sizeof(words), more, bytes);
  return packed;
}

inline HelloRequest AnyHello() {
  HelloRequest hello = {};
  hello.magic = kProtocolMagic;
  hello.oldest_version = hello.newest_version = kProtocolVersion;
  hello.classes = kAny;
  return hello;
}

}  // namespace medyate

#endif  // TESTS_TFLM_OPS_DEVICE_PROTOCOL_FRAMES_H_
