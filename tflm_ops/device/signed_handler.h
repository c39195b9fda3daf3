#ifndef TFLM_OPS_DEVICE_SIGNED_HANDLER_H_
#define TFLM_OPS_DEVICE_SIGNED_HANDLER_H_

// A TrainerHandler that takes push, reset and enrolment only from a host that knows the board's
// key; docs/security.md says what this is good for. Training, prediction and pulling need no key.
//
//   medyate::SignedHandler handler(&trainer, medyate_key::kKey);
//
// The host pushes a Ticket (region kTicket) right before: what it will ask for, the digest of what
// it will send, the board's counter, and an HMAC-SHA-256 tag over these. The counter is the weight
// store's sequence number. Push, reset and enrolment are commits, which raise it in the same
// instant in which they count, so a ticket is good for one of them, also across power cuts.
//
// What the counter is, the board proves: a pushed ticket whose request is kStatus is a challenge,
// and needs no tag. Its answer is pulled, with the challenge's random number and the board's tag.

#include "tflm_ops/device/sha256.h"
#include "tflm_ops/device/trainer_handler.h"

namespace medyate {

constexpr uint32_t kDeviceKeyBytes = 32;

class SignedHandler : public TrainerHandler {
 public:
  // Args:
  //   trainer: as TrainerHandler's.
  //   key: [kDeviceKeyBytes], this board's alone; must outlive the handler.
  SignedHandler(Trainer* trainer, const uint8_t* key)
      : TrainerHandler(trainer), trainer_(trainer), key_(key) {}

  // kNeedsKey if it would enrol a class: a host does that by its name.
  DeviceStatus Step(const void* sample, uint32_t label, float* loss) override;
  DeviceStatus Reset() override;
  DeviceStatus Enrol(const char* name, uint32_t* label) override;

  // A push whose ticket does not fit is refused before anything is erased, one whose bytes have
  // another digest than the ticket says before it counts.
  DeviceStatus BeginPush(Region region, uint32_t total) override;
  DeviceStatus WritePush(uint32_t offset, const uint8_t* data, uint32_t bytes) override;
  DeviceStatus FinishPush() override;

  // kTicket is the answer to a challenge, if there was one.
  DeviceStatus OpenPull(Region region, uint32_t* bytes, uint32_t* crc) override;
  DeviceStatus ReadPull(uint32_t offset, uint8_t* out, uint32_t bytes) override;

 private:
  void Prove();
  void Sign(uint8_t* tag) const;
  DeviceStatus CheckTicket();
  DeviceStatus Redeem(RequestKind kind, Region region, uint32_t bytes);
  DeviceStatus CheckDigest();

  Trainer* trainer_;
  const uint8_t* key_;
  Ticket ticket_ = {};
  bool has_ticket_ = false;      // It was checked, and nothing has been asked for since.
  bool is_ticket_here_ = false;  // What is being pushed or pulled is a ticket.
  Sha256 hash_;                  // Of what is being pushed, or was asked for.
};

}  // namespace medyate

#endif  // TFLM_OPS_DEVICE_SIGNED_HANDLER_H_
