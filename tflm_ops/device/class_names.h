#ifndef TFLM_OPS_DEVICE_CLASS_NAMES_H_
#define TFLM_OPS_DEVICE_CLASS_NAMES_H_

// Names of classes as text: a line "label<tab>name" for each class that has one.

#include <stdint.h>

#include "tflm_ops/device/protocol.h"
#include "tflm_ops/trainer/trainer.h"

namespace medyate {

// Most classes that can be named by one push, and bytes of their names with a zero byte each.
constexpr uint32_t kMostPushedClasses = 16;
constexpr uint32_t kPushedNamesBytes = 512;

// The names of a trainer's classes as text, in parts. It is made again for each part.
class NamesText {
 public:
  explicit NamesText(const Trainer& trainer) : trainer_(trainer) {}

  // Its size and CRC-32.
  void Measure(uint32_t* bytes, uint32_t* crc) const;

  // Args:
  //   out: [bytes]; written as far as the text goes.
  void Read(uint32_t offset, uint8_t* out, uint32_t bytes) const;

 private:
  const Trainer& trainer_;
};

// Takes such a text byte by byte and keeps the names of the spare classes. Lines of other classes
// and empty lines are passed over.
class NamesReader {
 public:
  // Begins again.
  //
  // Args:
  //   first, end: labels of the spare classes.
  void Begin(uint32_t first, uint32_t end);

  // kBadName, kLabelOutOfRange unless lines of spare classes begin with the first and leave none
  // out, kPushTooLong if there are too many. After an error it has to begin again.
  DeviceStatus Push(uint8_t byte);

  // Ends the text; a last line without an end counts.
  DeviceStatus Finish();

  bool is_empty() const { return !has_text_; }
  uint32_t count() const { return count_; }
  // Of class first + i, with a zero byte.
  const char* name(uint32_t i) const { return names_ + starts_[i]; }

 private:
  DeviceStatus EndLine();
  DeviceStatus PushDigit(uint8_t byte);
  DeviceStatus PushName(uint8_t byte);

  uint32_t first_ = 0;
  uint32_t end_ = 0;
  uint32_t count_ = 0;
  uint32_t used_ = 0;    // Bytes of finished names.
  uint32_t length_ = 0;  // Of the name that is being read.
  uint32_t label_ = 0;
  uint32_t digits_ = 0;
  bool in_name_ = false;
  bool has_text_ = false;
  uint16_t starts_[kMostPushedClasses] = {};
  char names_[kPushedNamesBytes];
};

}  // namespace medyate

#endif  // TFLM_OPS_DEVICE_CLASS_NAMES_H_
