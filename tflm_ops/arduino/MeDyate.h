#ifndef MEDYATE_H_
#define MEDYATE_H_

// A model that learns on the board: what a sketch includes.
//
//   #include <MeDyate.h>
//
//   alignas(16) static uint8_t arena[medyate_model::kArenaBytes];
//   medyate::BoardFlash flash(medyate_model::kModel);
//   medyate::Trainer trainer(medyate_model::kModel, arena, sizeof(arena), flash.place());
//
//   void setup() { medyate::TrainerStatus status = trainer.Begin(); }
//
// The examples show the rest; src/tflm_ops/trainer/trainer.h says what each call does.

#include <Arduino.h>

#include "medyate_input.h"
#include "medyate_model.h"
#include "tflm_ops/arduino/begin.h"
#include "tflm_ops/arduino/board_flash.h"
#include "tflm_ops/arduino/line_reader.h"
#include "tflm_ops/arduino/serial_sink.h"
#include "tflm_ops/device/session.h"
#include "tflm_ops/device/signed_handler.h"
#include "tflm_ops/device/trainer_handler.h"
#include "tflm_ops/trainer/trainer.h"

#endif  // MEDYATE_H_
