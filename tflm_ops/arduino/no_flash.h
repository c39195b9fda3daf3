#ifndef TFLM_OPS_ARDUINO_NO_FLASH_H_
#define TFLM_OPS_ARDUINO_NO_FLASH_H_

// For boards whose flash nobody has written a driver for.

#include "tflm_ops/trainer/flash_sink.h"

namespace medyate {

class NoFlash {
 public:
  explicit NoFlash(const StaticModel& model) { (void)model; }
  FlashPlace place() { return {nullptr, 0, 0, 0, nullptr, 0, 0}; }
  const char* problem() const { return "no driver for this board's flash: see board_flash.h"; }
};

}  // namespace medyate

#endif  // TFLM_OPS_ARDUINO_NO_FLASH_H_
