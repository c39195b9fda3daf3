// A board as a program of the host: the exported model, a real trainer, a flash that is kept in a
// file, and the serial protocol over TCP.
//
//   c++ -std=c++14 -O2 -I. -Iout/cpp tests/tflm_ops/device/trainer_host.cc out/cpp/*.cc
//     tflm_ops/math/*.cc tflm_ops/kernels/*.cc tflm_ops/draw/*.cc tflm_ops/trainer/*.cc
//     tflm_ops/store/*.cc tflm_ops/device/*.cc
//     -o trainer_host
//   trainer_host FLASH [HOLD_EVERY]     prints its port; one host after the other
//
// FLASH is made if it is not there: a board that was just flashed. HOLD_EVERY: one sample
// in so many is held back to judge epochs by. POSIX only.

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "medyate_model.h"
#include "tests/tflm_ops/device/tcp_line.h"
#include "tflm_ops/device/nano33ble.h"
#include "tflm_ops/device/signed_handler.h"
// Of an export with a key.
#if __has_include("medyate_key.h")
#include "medyate_key.h"
#define MEDYATE_HAS_KEY 1
#else
#define MEDYATE_HAS_KEY 0
#endif

namespace {

using medyate_model::kModel;

const uint32_t kWords = 256;         // Of the session's buffers.
const uint32_t kGuardWords = 65536;  // Of the samples that are held back.
const uint32_t kPageBytes = 4096;

// Weights, then the journal, in a file that outlives the program.
class FileFlash final : public medyate::Flash {
 public:
  explicit FileFlash(const char* path) {
    const int file = open(path, O_RDWR | O_CREAT, 0644);
    struct stat state;
    if (file < 0 || fstat(file, &state) != 0 || ftruncate(file, Bytes()) != 0) return;
    void* memory = mmap(nullptr, Bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) return;
    memory_ = static_cast<uint8_t*>(memory);
    if (state.st_size > 0) return;
    memcpy(memory_, kModel.weights, WeightsBytes());
    memset(memory_ + WeightsBytes(), 0xff, Bytes() - WeightsBytes());
  }
  virtual ~FileFlash() = default;

  bool is_open() const { return memory_ != nullptr; }

  medyate::FlashPlace Place() {
    return {this,
            0,
            WeightsBytes(),
            medyate::NanoJournalPages(kModel),
            reinterpret_cast<const float*>(memory_),
            medyate::kNrf52840Traits.cycles,
            kModel.run_pages};
  }

  uint32_t page_bytes() const override { return kPageBytes; }

  bool Erase(uint32_t offset) override {
    memset(memory_ + offset, 0xff, kPageBytes);
    return true;
  }

  bool Write(uint32_t offset, const uint32_t* words, uint32_t count) override {
    uint32_t* to = reinterpret_cast<uint32_t*>(memory_ + offset);
    for (uint32_t i = 0; i < count; ++i) to[i] &= words[i];
    return true;
  }

  bool Read(uint32_t offset, uint32_t* words, uint32_t count) const override {
    memcpy(words, memory_ + offset, 4 * count);
    return true;
  }

 private:
  static uint32_t WeightsBytes() { return 4 * kModel.weights_floats; }
  static uint32_t Bytes() {
    return WeightsBytes() + kPageBytes * medyate::NanoJournalPages(kModel);
  }

  uint8_t* memory_ = nullptr;
};

class SocketSink final : public medyate::ByteSink {
 public:
  virtual ~SocketSink() = default;
  void Write(const uint8_t* data, size_t bytes) override { medyate::WriteAll(socket, data, bytes); }
  int socket = -1;
};

void Print(void*, const char* text) { fprintf(stderr, "%s\n", text); }

alignas(medyate::kArenaAlignment) uint8_t arena[medyate_model::kArenaBytes];
uint32_t guard_memory[kGuardWords];

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);  // A host that goes away is no reason to stop.
  if (argc < 2) return 2;
  FileFlash flash(argv[1]);
  if (!flash.is_open()) {
    perror(argv[1]);
    return 1;
  }
  medyate::Trainer trainer(kModel, arena, sizeof(arena), flash.Place());
  trainer.SetReport(Print, nullptr);
  medyate::TrainerStatus status = trainer.Begin();
  if (status == medyate::TrainerStatus::kOk && argc > 2) {
    const uint32_t hold_every = static_cast<uint32_t>(atoi(argv[2]));
    status = trainer.SetGuard({guard_memory, kGuardWords, hold_every, 0.1f});
  }
  fprintf(stderr, "%s\n", medyate::TrainerStatusName(status));
#if MEDYATE_HAS_KEY
  medyate::SignedHandler handler(&trainer, medyate_key::kKey);
#else
  medyate::TrainerHandler handler(&trainer);
#endif
  SocketSink sink;
  uint32_t request[kWords], answer[kWords];
  medyate::Session session(&handler, &sink, request, kWords, answer, kWords);
  const int listener = medyate::Listen();
  for (;;) {
    sink.socket = accept(listener, nullptr, nullptr);
    if (sink.socket < 0) return 0;
    medyate::Serve(sink.socket, &session);
    close(sink.socket);
  }
}
