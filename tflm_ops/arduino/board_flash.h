#ifndef TFLM_OPS_ARDUINO_BOARD_FLASH_H_
#define TFLM_OPS_ARDUINO_BOARD_FLASH_H_

// The flash that a sketch's Trainer keeps its weights in, as `medyate::BoardFlash`:
//
//   medyate::BoardFlash flash(medyate_model::kModel);
//   flash.place()    // for the Trainer
//   flash.problem()  // null, or why nothing can be kept
//
// Another board than the Nano 33 BLE: write a class like NanoFlash and put its header's name into
// MEDYATE_BOARD_FLASH_H. Without one a board learns all the same, and forgets when it is switched
// off.

#if defined(MEDYATE_BOARD_FLASH_H)
#include MEDYATE_BOARD_FLASH_H
#elif defined(ARDUINO_ARDUINO_NANO33BLE)
#include "tflm_ops/arduino/nano_flash.h"
namespace medyate {
typedef NanoFlash BoardFlash;
}  // namespace medyate
#else
#include "tflm_ops/arduino/no_flash.h"
namespace medyate {
typedef NoFlash BoardFlash;
}  // namespace medyate
#endif

#endif  // TFLM_OPS_ARDUINO_BOARD_FLASH_H_
