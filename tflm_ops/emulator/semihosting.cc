#include "tflm_ops/emulator/semihosting.h"

#include <string.h>

namespace medyate {
namespace semihosting {
namespace {

// "Semihosting for AArch32 and AArch64", Arm.
enum Operation : uint32_t {
  kOpen = 0x01,
  kWriteText = 0x04,
  kWrite = 0x05,
  kSeek = 0x0a,
  kCommandLine = 0x15,
  kExit = 0x18,
};

const uint32_t kReadAndWriteBinary = 3;  // fopen's "r+b".
const uint32_t kRunTimeError = 0x20023;
const uint32_t kApplicationExit = 0x20026;

// The argument is a number, or the address of a block of words.
int Call(Operation operation, uintptr_t argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register uintptr_t r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return static_cast<int>(r0);
}

int CallWith(Operation operation, const uint32_t* block) {
  return Call(operation, reinterpret_cast<uintptr_t>(block));
}

uint32_t Word(const void* pointer) {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pointer));
}

}  // namespace

int Open(const char* path) {
  const uint32_t block[] = {Word(path), kReadAndWriteBinary, static_cast<uint32_t>(strlen(path))};
  return CallWith(kOpen, block);
}

bool WriteAt(int file, uint32_t offset, const void* data, uint32_t bytes) {
  const uint32_t place[] = {static_cast<uint32_t>(file), offset};
  const uint32_t block[] = {static_cast<uint32_t>(file), Word(data), bytes};
  return CallWith(kSeek, place) == 0 && CallWith(kWrite, block) == 0;
}

void Log(const char* text) {
  Call(kWriteText, Word(text));
  Call(kWriteText, Word("\n"));
}

bool CommandLine(char* text, uint32_t room) {
  const uint32_t block[] = {Word(text), room};
  return CallWith(kCommandLine, block) == 0;
}

void Exit(bool ok) {
  Call(kExit, ok ? kApplicationExit : kRunTimeError);
  for (;;) {
  }
}

}  // namespace semihosting
}  // namespace medyate
