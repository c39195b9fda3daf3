#ifndef TFLM_OPS_EMULATOR_UART_H_
#define TFLM_OPS_EMULATOR_UART_H_

#include <stddef.h>
#include <stdint.h>

#include "tflm_ops/device/framing.h"

namespace medyate {

// The emulated board's first serial port, a CMSDK UART. It holds a single byte, so an interrupt
// takes each one into a ring at once, also in the middle of a training step. A full ring closes the
// UART's interrupt: the byte stays where it is and the emulator holds back those after it. On a
// real line they would be lost there, and the host would ask again. There is one.
class Uart final : public ByteSink {
 public:
  Uart();

  // Takes what has come in, at most `room` bytes; returns how many.
  uint32_t Read(uint8_t* data, uint32_t room);

  // Sleeps until a byte or another interrupt comes, unless there are bytes to be read.
  void Sleep() const;

  void Write(const uint8_t* data, size_t bytes) override;

  // Of a received byte.
  static void HandleInterrupt();
};

}  // namespace medyate

#endif  // TFLM_OPS_EMULATOR_UART_H_
