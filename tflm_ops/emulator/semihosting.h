#ifndef TFLM_OPS_EMULATOR_SEMIHOSTING_H_
#define TFLM_OPS_EMULATOR_SEMIHOSTING_H_

// What an emulator does for the program inside it (Arm's semihosting): files of the host, messages,
// the end. Nothing is buffered on either side.

#include <stdint.h>

namespace medyate {
namespace semihosting {

// Opens an existing file for reading and writing. Negative if it cannot be.
int Open(const char* path);

// Writes `bytes` bytes at `offset`; false unless all of them are written.
bool WriteAt(int file, uint32_t offset, const void* data, uint32_t bytes);

// A line of the emulator's log.
void Log(const char* text);

// The words that the emulator was started with, joined by spaces; false if the room is too small.
bool CommandLine(char* text, uint32_t room);

// Ends the emulator: with exit code 0 or 1.
__attribute__((noreturn)) void Exit(bool ok);

}  // namespace semihosting
}  // namespace medyate

#endif  // TFLM_OPS_EMULATOR_SEMIHOSTING_H_
