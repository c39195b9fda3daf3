#include "tflm_ops/emulator/uart.h"

#include "tflm_ops/emulator/registers.h"

namespace medyate {
namespace {

// Registers of "CMSDK APB UART", Arm.
const uintptr_t kData = 0x40004000u;
const uintptr_t kState = 0x40004004u;
const uintptr_t kControl = 0x40004008u;
const uintptr_t kInterrupts = 0x4000400cu;  // Written: those that are served.
const uintptr_t kBaudDivider = 0x40004010u;

// The processor's interrupts: the UART itself goes on asking for one until its byte is taken.
const uintptr_t kEnabledInterrupts = 0xe000e100u;
const uintptr_t kDisabledInterrupts = 0xe000e180u;
const uint32_t kUartInterrupt = 1;

const uint32_t kSendIsFull = 1;  // In kState.
const uint32_t kSendAndReceive = 3;
const uint32_t kReceiveInterrupt = 8;  // In kControl.
const uint32_t kReceived = 2;          // In kInterrupts.

// Written by the interrupt alone are the bytes and `head`, by Read alone `tail`.
const uint32_t kRingBytes = 1024;  // A power of two.
volatile uint8_t ring[kRingBytes];
volatile uint32_t head, tail;

}  // namespace

Uart::Uart() {
  Register(kBaudDivider) = 16;
  Register(kControl) = kSendAndReceive | kReceiveInterrupt;
  Register(kEnabledInterrupts) = kUartInterrupt;
}

// Serves the interrupt before it takes the byte: the next one may come right after that.
void Uart::HandleInterrupt() {
  if (head - tail == kRingBytes) {
    Register(kDisabledInterrupts) = kUartInterrupt;
    return;
  }
  Register(kInterrupts) = kReceived;
  ring[head % kRingBytes] = static_cast<uint8_t>(Register(kData));
  head = head + 1;
}

uint32_t Uart::Read(uint8_t* data, uint32_t room) {
  uint32_t count = 0;
  while (count < room && tail != head) {
    data[count++] = ring[tail % kRingBytes];
    tail = tail + 1;
  }
  // There is room again. Always: the ring may have been full for an instant between two looks.
  if (count > 0) Register(kEnabledInterrupts) = kUartInterrupt;
  return count;
}

// Interrupts are held back, so that none is served between the look and the sleep; a pending one
// ends the sleep all the same.
void Uart::Sleep() const {
  __asm__ volatile("cpsid i" ::: "memory");
  if (tail == head) __asm__ volatile("wfi" ::: "memory");
  __asm__ volatile("cpsie i" ::: "memory");
}

void Uart::Write(const uint8_t* data, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    while (Register(kState) & kSendIsFull) {
    }
    Register(kData) = data[i];
  }
}

}  // namespace medyate
