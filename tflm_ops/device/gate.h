#ifndef TFLM_OPS_DEVICE_GATE_H_
#define TFLM_OPS_DEVICE_GATE_H_

// Whether a host may change what a board has learned; docs/security.md says what this is good for.
//
//   bool IsPressed(void*) { return digitalRead(2) == LOW; }
//   handler.SetGate({IsPressed, nullptr, 0, nullptr});

#include <stdint.h>

#include "tflm_ops/device/protocol.h"

namespace medyate {

struct Gate {
  // Whether somebody stands at the board, asked at the beginning of each push, reset and enrolment;
  // null: they need nobody.
  bool (*is_present)(void* user);
  // A clock that may wrap around, and the time from one request that writes flash to the next
  // (push, reset, enrolment, commit, end of epoch) that is carried out; null: there is no limit.
  uint32_t (*now_ms)(void* user);
  uint32_t least_ms;
  void* user;
};

class GateKeeper {
 public:
  void Set(const Gate& gate) {
    gate_ = gate;
    has_written_ = false;
  }

  // Args:
  //   needs_presence: whether the request does more than training.
  DeviceStatus Ask(bool needs_presence) {
    if (needs_presence && gate_.is_present && !gate_.is_present(gate_.user)) {
      return DeviceStatus::kNeedsPresence;
    }
    if (!gate_.now_ms) return DeviceStatus::kOk;
    const uint32_t now = gate_.now_ms(gate_.user);
    if (has_written_ && now - written_ms_ < gate_.least_ms) return DeviceStatus::kTooSoon;
    has_written_ = true;
    written_ms_ = now;
    return DeviceStatus::kOk;
  }

 private:
  Gate gate_ = {};
  bool has_written_ = false;
  uint32_t written_ms_ = 0;
};

}  // namespace medyate

#endif  // TFLM_OPS_DEVICE_GATE_H_
