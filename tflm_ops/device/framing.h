#ifndef TFLM_OPS_DEVICE_FRAMING_H_
#define TFLM_OPS_DEVICE_FRAMING_H_

// Frames on a serial line; tf_medyate/device/framing.py is the twin. docs/protocol.md has the
// bytes:
//
//   kind 1, status 1, payload bytes 2, session 4, sequence 4, payload, CRC-32 of all that 4
//
// little-endian, stuffed by COBS (consistent overhead byte stuffing: no zero bytes left, one byte
// more in 254) and ended by a zero byte. So a reader that has lost its place finds it again at the
// next zero byte.

#include <stddef.h>
#include <stdint.h>

#include "tflm_ops/device/protocol.h"

namespace medyate {

// Where bytes go: a UART, a socket.
class ByteSink {
 public:
  // Writes all of it, or gives up: then the frame is lost, and the other end asks again.
  virtual void Write(const uint8_t* data, size_t bytes) = 0;

 protected:
  ~ByteSink() = default;
};

struct FrameHeader {
  uint8_t kind;    // A RequestKind, with kAnswerBit from the device.
  uint8_t status;  // A DeviceStatus; 0 in a request.
  uint16_t payload_bytes;
  uint32_t session;
  uint32_t sequence;
};

static_assert(sizeof(FrameHeader) == kFrameHeaderBytes, "FrameHeader");

// Longest payload of a frame in a buffer of that size. A frame's length has 16 bits.
constexpr uint32_t PayloadRoom(uint32_t buffer_words) {
  return buffer_words < 4 ? 0 : (buffer_words < 16000 ? 4 * buffer_words - 16 : 63984);
}

// Completes a frame by its header and checksum.
//
// Args:
//   frame: [PayloadRoom + 16 bytes]; the payload is there already, from byte kFrameHeaderBytes on.
void SealFrame(const FrameHeader& header, uint32_t* frame);

// Writes a sealed frame, between two zero bytes.
void WriteFrame(const uint32_t* frame, ByteSink* sink);

// Takes bytes one by one and finds frames in them. Garbage, cut and overlong frames end at the next
// zero byte.
class FrameReader {
 public:
  enum class Event : uint8_t {
    kNone,   // Goes on.
    kFrame,  // header() and payload() are there, until the next Push.
    kError,  // A frame ended that could not be read; see error().
  };

  // Args:
  //   buffer: [words], for one frame without stuffing.
  FrameReader(uint32_t* buffer, uint32_t words) : buffer_(buffer), words_(words) {}

  Event Push(uint8_t byte);

  // Forgets a frame that has begun. What follows up to the next zero byte is an error of its own.
  void Drop() { Begin(); }

  // Whether a frame has begun.
  bool is_inside() const { return has_code_; }

  const FrameHeader& header() const { return header_; }
  uint8_t* payload() const { return bytes() + kFrameHeaderBytes; }
  // CRC-32 of the frame, by which two of them can be told apart.
  uint32_t checksum() const { return checksum_; }
  DeviceStatus error() const { return error_; }

 private:
  uint8_t* bytes() const { return reinterpret_cast<uint8_t*>(buffer_); }
  void Begin();
  void Append(uint8_t byte);
  Event End();
  DeviceStatus Check();

  uint32_t* buffer_;
  uint32_t words_;
  uint32_t size_ = 0;          // Bytes of the frame so far.
  uint8_t left_ = 0;           // Bytes until the next code byte.
  bool has_code_ = false;      // The frame's first code byte has come.
  bool ends_in_zero_ = false;  // A zero follows what the code byte counts, unless the frame ends.
  bool is_oversized_ = false;
  FrameHeader header_ = {};
  uint32_t checksum_ = 0;
  DeviceStatus error_ = DeviceStatus::kOk;
};

}  // namespace medyate

#endif  // TFLM_OPS_DEVICE_FRAMING_H_
