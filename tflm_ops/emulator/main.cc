// Firmware of the emulated board: a model that learns from what comes over the serial line, in
// flash that is kept in a file. tf_medyate/emulator compiles it with an export's medyate_model.*,
// and starts it with two words: "counted" if qemu counts instructions, else "timed"; the flash
// file.

#include <string.h>

#include "medyate_model.h"
#include "tflm_ops/device/nano33ble.h"
#include "tflm_ops/device/session.h"
#include "tflm_ops/emulator/clock.h"
#include "tflm_ops/emulator/file_flash.h"
#include "tflm_ops/emulator/metered_handler.h"
#include "tflm_ops/emulator/semihosting.h"
#include "tflm_ops/emulator/uart.h"
#include "tflm_ops/trainer/trainer.h"

// Memory for samples that the guard holds back to judge epochs by (0: there is no guard), and every
// which sample it takes.
#ifndef MEDYATE_GUARD_BYTES
#define MEDYATE_GUARD_BYTES 0
#endif
#ifndef MEDYATE_HOLD_EVERY
#define MEDYATE_HOLD_EVERY 10
#endif

namespace medyate {
namespace {

using medyate_model::kModel;

const char kCounted[] = "counted ";
const char kTimed[] = "timed ";

// A request holds a sample of 1,000 floats; longer ones come in parts.
uint32_t request[1024 + 16];
uint32_t answer[256];
alignas(kArenaAlignment) uint8_t arena[medyate_model::kArenaBytes];

// For the linker script, which keeps the application out of the journal's way.
void TellLinker() {
  __asm__ volatile(".global _journal_pages\n.set _journal_pages, %c0" ::"i"(NanoJournalPages(
      medyate_model::kWeightsFloats, medyate_model::kImportanceFloats, medyate_model::kRunPages)));
}

void Report(void* user, const char* text) {
  (void)user;
  semihosting::Log(text);
}

__attribute__((noreturn)) void Fail(const char* what, const char* why) {
  semihosting::Log(what);
  semihosting::Log(why);
  semihosting::Exit(false);
}

// The flash file, after the word that says how time goes.
int OpenFlash(bool* counts) {
  static char line[512];
  if (!semihosting::CommandLine(line, sizeof(line))) {
    Fail("no command line", "the flash file's name may be too long");
  }
  *counts = strncmp(line, kCounted, sizeof(kCounted) - 1) == 0;
  if (!*counts && strncmp(line, kTimed, sizeof(kTimed) - 1) != 0) {
    Fail("the command line does not begin with 'counted' or 'timed':", line);
  }
  const char* path = line + (*counts ? sizeof(kCounted) : sizeof(kTimed)) - 1;
  const int file = semihosting::Open(path);
  if (file < 0) Fail("cannot open the flash file", path);
  return file;
}

void Check(const char* what, TrainerStatus status, StoreStatus store) {
  if (status == TrainerStatus::kOk) return;
  semihosting::Log(what);
  semihosting::Log(TrainerStatusName(status));
  semihosting::Log(StatusName(store));
}

void Begin(Trainer* trainer) {
  trainer->SetReport(Report, nullptr);
  TrainerStatus status = trainer->Begin();
  const StoreStatus store = trainer->store_status();
  const bool is_foreign = store == StoreStatus::kOtherModel || store == StoreStatus::kOtherLayout ||
                          store == StoreStatus::kWeightsChanged ||
                          store == StoreStatus::kJournalDamaged;
  if (is_foreign) {
    status = trainer->Begin(ForeignState::kDropLearned);
    if (status == TrainerStatus::kOk) {
      semihosting::Log("the model was flashed again: what was learned before is dropped");
    }
  }
  Check("the start went wrong", status, trainer->store_status());
#if MEDYATE_GUARD_BYTES > 0
  static uint32_t memory[MEDYATE_GUARD_BYTES / 4];
  status = trainer->SetGuard({memory, sizeof(memory) / 4, MEDYATE_HOLD_EVERY, 0.05f});
  Check("there is no guard", status, trainer->store_status());
#endif
}

__attribute__((noreturn)) void Run() {
  bool counts = false;
  static FileFlash flash(OpenFlash(&counts), kNanoSketchOffset, kNanoFlashBytes);
  static Trainer trainer(kModel, arena, sizeof(arena), NanoPlace(kModel, &flash));
  static Clock clock;
  TellLinker();
  Begin(&trainer);
  static MeteredHandler handler(&trainer, &clock, counts);
  static Uart uart;
  semihosting::Log("ready");
  static Session session(&handler, &uart, request, sizeof(request) / 4, answer, sizeof(answer) / 4);
  for (;;) {
    uint8_t bytes[64];
    const uint32_t count = uart.Read(bytes, sizeof(bytes));
    session.Receive(bytes, count, clock.Milliseconds());
    if (count == 0) uart.Sleep();
  }
}

}  // namespace
}  // namespace medyate

int main() { medyate::Run(); }
