#include "tflm_ops/device/class_names.h"

#include <string.h>

#include "tflm_ops/store/crc32.h"
#include "tflm_ops/trainer/names.h"

namespace medyate {
namespace {

const uint32_t kMostDigits = 9;
const uint32_t kLineBytes = kNumberBytes + kClassNameBytes + 1;

// The line of a class, "" if it has no name; returns its length.
//
// Args:
//   line: [kLineBytes].
uint32_t WriteLine(const Trainer& trainer, int label, char* line) {
  NumberedName("", label, line);
  const uint32_t digits = static_cast<uint32_t>(strlen(line));
  char* name = line + digits + 1;
  if (!trainer.ClassName(label, name, kClassNameBytes)) return 0;
  line[digits] = '\t';
  const uint32_t length = digits + 1 + static_cast<uint32_t>(strlen(name));
  line[length] = '\n';
  return length + 1;
}

}  // namespace

void NamesText::Measure(uint32_t* bytes, uint32_t* crc) const {
  *bytes = *crc = 0;
  char line[kLineBytes];
  for (int label = 0; label < trainer_.classes(); ++label) {
    const uint32_t length = WriteLine(trainer_, label, line);
    *crc = Crc32(*crc, line, length);
    *bytes += length;
  }
}

void NamesText::Read(uint32_t offset, uint8_t* out, uint32_t bytes) const {
  uint32_t begin = 0;
  char line[kLineBytes];
  for (int label = 0; label < trainer_.classes() && begin < offset + bytes; ++label) {
    const uint32_t length = WriteLine(trainer_, label, line);
    for (uint32_t i = 0; i < length; ++i) {
      const uint32_t at = begin + i;
      if (at >= offset && at - offset < bytes) out[at - offset] = static_cast<uint8_t>(line[i]);
    }
    begin += length;
  }
}

void NamesReader::Begin(uint32_t first, uint32_t end) {
  first_ = first;
  end_ = end;
  count_ = used_ = length_ = label_ = digits_ = 0;
  in_name_ = has_text_ = false;
}

DeviceStatus NamesReader::Push(uint8_t byte) {
  has_text_ = true;
  if (byte == '\n') return EndLine();
  return in_name_ ? PushName(byte) : PushDigit(byte);
}

DeviceStatus NamesReader::PushDigit(uint8_t byte) {
  if (byte == '\t' && digits_ > 0) {
    in_name_ = true;
    length_ = 0;
    const bool is_next = label_ == first_ + count_ && label_ < end_;
    return label_ < first_ || is_next ? DeviceStatus::kOk : DeviceStatus::kLabelOutOfRange;
  }
  if (byte < '0' || byte > '9' || digits_ == kMostDigits) return DeviceStatus::kLabelOutOfRange;
  ++digits_;
  label_ = 10 * label_ + (byte - '0');
  return DeviceStatus::kOk;
}

DeviceStatus NamesReader::PushName(uint8_t byte) {
  if (byte == 0 || length_ == kClassNameBytes - 1) return DeviceStatus::kBadName;
  if (label_ >= first_) {
    if (count_ == kMostPushedClasses || used_ + length_ + 1 >= kPushedNamesBytes) {
      return DeviceStatus::kPushTooLong;
    }
    names_[used_ + length_] = static_cast<char>(byte);
  }
  ++length_;
  return DeviceStatus::kOk;
}

DeviceStatus NamesReader::EndLine() {
  const bool is_named = in_name_, is_spare = label_ >= first_;
  const bool is_blank = !in_name_ && digits_ == 0;
  in_name_ = false;
  label_ = digits_ = 0;
  if (is_blank) return DeviceStatus::kOk;
  if (!is_named || length_ == 0) return DeviceStatus::kBadName;
  if (!is_spare) return DeviceStatus::kOk;
  if (!IsValidName(names_ + used_, length_)) return DeviceStatus::kBadName;
  names_[used_ + length_] = 0;
  for (uint32_t i = 0; i < count_; ++i) {
    if (strcmp(name(i), names_ + used_) == 0) return DeviceStatus::kNameTaken;
  }
  starts_[count_++] = static_cast<uint16_t>(used_);
  used_ += length_ + 1;
  return DeviceStatus::kOk;
}

DeviceStatus NamesReader::Finish() {
  return in_name_ || digits_ > 0 ? EndLine() : DeviceStatus::kOk;
}

}  // namespace medyate
