// The board's end of `medyate device`: a computer sends samples over USB, the board learns.
//
//   medyate device --port /dev/ttyACM0 status
//   medyate device --port /dev/ttyACM0 train data.npz
//
// Close the serial monitor first: it would take the board's answers. The built-in LED is on while a
// computer is connected, and blinks fast if there is no model to train (the status says why).

#include <MeDyate.h>

// Written beside this sketch by `medyate export --device_key`: push, reset and new classes only from
// a computer that has the key.
#if __has_include("medyate_key.h")
#include "medyate_key.h"
#define MEDYATE_HAS_KEY 1
#else
#define MEDYATE_HAS_KEY 0
#endif

// A button from this pin to GND that has to be held for push, reset and new classes; -1: none. See
// docs/security.md of tf_medyate.
#ifndef MEDYATE_PRESENCE_PIN
#define MEDYATE_PRESENCE_PIN -1
#endif
// Milliseconds from one request that writes flash to the next; 0: no limit.
#ifndef MEDYATE_LEAST_MS_BETWEEN_WRITES
#define MEDYATE_LEAST_MS_BETWEEN_WRITES 0
#endif

// Everything the model needs to run and to learn. No heap is used anywhere.
alignas(16) static uint8_t arena[medyate_model::kArenaBytes];
medyate::BoardFlash flash(medyate_model::kModel);
medyate::Trainer trainer(medyate_model::kModel, arena, sizeof(arena), flash.place());

// The line to the computer.
static uint32_t request[256], answer[256];
medyate::SerialSink line(&Serial);
#if MEDYATE_HAS_KEY
medyate::SignedHandler handler(&trainer, medyate_key::kKey);
#else
medyate::TrainerHandler handler(&trainer);
#endif
medyate::Session session(&handler, &line, request, 256, answer, 256);

bool IsPresent(void*) { return digitalRead(MEDYATE_PRESENCE_PIN) == LOW; }
uint32_t Now(void*) { return millis(); }

void setup() {
  pinMode(LED_BUILTIN, OUTPUT);
  medyate::Gate gate = {nullptr, Now, MEDYATE_LEAST_MS_BETWEEN_WRITES, nullptr};
  if (MEDYATE_PRESENCE_PIN >= 0) {
    pinMode(MEDYATE_PRESENCE_PIN, INPUT_PULLUP);
    gate.is_present = IsPresent;
  }
  handler.SetGate(gate);
  Serial.begin(115200);
  bool is_new;
  medyate::BeginAfterUpload(&trainer, &is_new);  // `medyate device status` says how it went.
}

void loop() {
  uint8_t bytes[64];
  size_t count = 0;
  while (count < sizeof(bytes) && Serial.available() > 0) {
    bytes[count++] = static_cast<uint8_t>(Serial.read());
  }
  session.Receive(bytes, count, millis());  // Also without bytes: it watches the time.

  const bool is_on = trainer.is_ready() ? session.is_connected() : millis() / 100 % 2 == 0;
  digitalWrite(LED_BUILTIN, is_on ? HIGH : LOW);
}
