#ifndef TFLM_OPS_ARDUINO_SERIAL_SINK_H_
#define TFLM_OPS_ARDUINO_SERIAL_SINK_H_

// Arduino's serial line at the device's end of the protocol.

#include <Arduino.h>

#include "tflm_ops/device/framing.h"

namespace medyate {

class SerialSink final : public ByteSink {
 public:
  // Args:
  //   line: Serial, Serial1; must outlive the sink.
  explicit SerialSink(Stream* line) : line_(line) {}
  void Write(const uint8_t* data, size_t bytes) override { line_->write(data, bytes); }

 private:
  Stream* line_;
};

}  // namespace medyate

#endif  // TFLM_OPS_ARDUINO_SERIAL_SINK_H_
