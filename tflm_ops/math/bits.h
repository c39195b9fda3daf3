#ifndef TFLM_OPS_MATH_BITS_H_
#define TFLM_OPS_MATH_BITS_H_

// Small numbers packed without gaps: entry i takes bits [i * width, (i + 1) * width) of the
// memory, the low bit of a byte first.

#include <stdint.h>

namespace medyate {
namespace math {

// Bytes that `count` entries of `width` bits take.
inline int PackedBytes(int count, int width) {
  return static_cast<int>((static_cast<int64_t>(count) * width + 7) / 8);
}

// Writes entries one after the other, and the last byte on Finish.
class BitWriter {
 public:
  explicit BitWriter(uint8_t* bytes) : next_(bytes) {}

  // Args:
  //   width: 0 .. 24, value: 0 .. 2^width - 1.
  void Put(uint32_t value, int width) {
    pending_ |= value << count_;
    for (count_ += width; count_ >= 8; count_ -= 8) {
      *next_++ = static_cast<uint8_t>(pending_);
      pending_ >>= 8;
    }
  }

  // Fills the last byte up with zeros.
  void Finish() {
    if (count_ > 0) *next_ = static_cast<uint8_t>(pending_);
  }

 private:
  uint8_t* next_;
  uint32_t pending_ = 0;
  int count_ = 0;
};

// Reads the entries in the order they were written.
class BitReader {
 public:
  explicit BitReader(const uint8_t* bytes) : next_(bytes) {}

  uint32_t Get(int width) {
    for (; count_ < width; count_ += 8) pending_ |= static_cast<uint32_t>(*next_++) << count_;
    const uint32_t value = pending_ & ((1u << width) - 1u);
    pending_ >>= width;
    count_ -= width;
    return value;
  }

 private:
  const uint8_t* next_;
  uint32_t pending_ = 0;
  int count_ = 0;
};

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_BITS_H_
