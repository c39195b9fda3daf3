#include "tflm_ops/device/signed_handler.h"

#include <stddef.h>
#include <string.h>

#include "tflm_ops/store/crc32.h"

namespace medyate {

static_assert(sizeof(Ticket::digest) == kSha256Bytes && sizeof(Ticket::tag) == kSha256Bytes,
              "SHA-256");
static_assert(offsetof(Ticket, tag) + kSha256Bytes == sizeof(Ticket), "all before it is signed");

DeviceStatus SignedHandler::Step(const void* sample, uint32_t label, float* loss) {
  const uint32_t classes = static_cast<uint32_t>(trainer_->model().classes);
  const bool is_new = label >= static_cast<uint32_t>(trainer_->classes());
  return label < classes && is_new ? DeviceStatus::kNeedsKey
                                   : TrainerHandler::Step(sample, label, loss);
}

DeviceStatus SignedHandler::Reset() {
  DeviceStatus status = Redeem(RequestKind::kReset, Region::kDelta, 0);
  if (status == DeviceStatus::kOk) status = CheckDigest();
  return status == DeviceStatus::kOk ? TrainerHandler::Reset() : status;
}

DeviceStatus SignedHandler::Enrol(const char* name, uint32_t* label) {
  const uint32_t bytes = static_cast<uint32_t>(strlen(name));
  DeviceStatus status = Redeem(RequestKind::kEnrol, Region::kDelta, bytes);
  hash_.Update(name, bytes);
  if (status == DeviceStatus::kOk) status = CheckDigest();
  return status == DeviceStatus::kOk ? TrainerHandler::Enrol(name, label) : status;
}

DeviceStatus SignedHandler::BeginPush(Region region, uint32_t total) {
  is_ticket_here_ = region == Region::kTicket;
  if (is_ticket_here_) {
    has_ticket_ = false;
    return total == sizeof(ticket_) ? DeviceStatus::kOk : DeviceStatus::kBadPayload;
  }
  const DeviceStatus status = Redeem(RequestKind::kPush, region, total);
  return status == DeviceStatus::kOk ? TrainerHandler::BeginPush(region, total) : status;
}

DeviceStatus SignedHandler::WritePush(uint32_t offset, const uint8_t* data, uint32_t bytes) {
  if (!is_ticket_here_) {
    hash_.Update(data, bytes);
    return TrainerHandler::WritePush(offset, data, bytes);
  }
  memcpy(reinterpret_cast<uint8_t*>(&ticket_) + offset, data, bytes);
  return DeviceStatus::kOk;
}

DeviceStatus SignedHandler::FinishPush() {
  if (is_ticket_here_ && ticket_.request == static_cast<uint32_t>(RequestKind::kStatus)) {
    Prove();
    return DeviceStatus::kOk;
  }
  const DeviceStatus status = is_ticket_here_ ? CheckTicket() : CheckDigest();
  if (is_ticket_here_) has_ticket_ = status == DeviceStatus::kOk;
  return status == DeviceStatus::kOk && !is_ticket_here_ ? TrainerHandler::FinishPush() : status;
}

DeviceStatus SignedHandler::OpenPull(Region region, uint32_t* bytes, uint32_t* crc) {
  is_ticket_here_ = region == Region::kTicket;
  if (!is_ticket_here_) return TrainerHandler::OpenPull(region, bytes, crc);
  if (ticket_.magic != kProofMagic) return DeviceStatus::kNoSuchRegion;
  *bytes = sizeof(ticket_);
  *crc = Crc32(0, &ticket_, sizeof(ticket_));
  return DeviceStatus::kOk;
}

DeviceStatus SignedHandler::ReadPull(uint32_t offset, uint8_t* out, uint32_t bytes) {
  if (!is_ticket_here_) return TrainerHandler::ReadPull(offset, out, bytes);
  memcpy(out, reinterpret_cast<const uint8_t*>(&ticket_) + offset, bytes);
  return DeviceStatus::kOk;
}

// Answers a challenge, in its place. The magic word keeps the tag from being a ticket's.
void SignedHandler::Prove() {
  ticket_.magic = kProofMagic;
  ticket_.region = ticket_.bytes = 0;
  memcpy(ticket_.model_hash, trainer_->model().hash, sizeof(ticket_.model_hash));
  ticket_.counter = trainer_->sink().store().sequence();
  Sign(reinterpret_cast<uint8_t*>(ticket_.tag));
}

void SignedHandler::Sign(uint8_t* tag) const {
  HmacSha256(key_, kDeviceKeyBytes, &ticket_, offsetof(Ticket, tag), tag);
}

// Whether a ticket was made with this board's key, for this model, and not used up.
DeviceStatus SignedHandler::CheckTicket() {
  uint8_t tag[kSha256Bytes];
  Sign(tag);
  const bool is_ours = IsSameTag(tag, reinterpret_cast<const uint8_t*>(ticket_.tag));
  if (!is_ours || ticket_.magic != kTicketMagic) return DeviceStatus::kBadTag;
  if (memcmp(ticket_.model_hash, trainer_->model().hash, sizeof(ticket_.model_hash)) != 0) {
    return DeviceStatus::kOtherModel;
  }
  return ticket_.counter == trainer_->sink().store().sequence() ? DeviceStatus::kOk
                                                                : DeviceStatus::kOldCounter;
}

// Uses the ticket up for what is asked for now; the digest remains to be compared.
DeviceStatus SignedHandler::Redeem(RequestKind kind, Region region, uint32_t bytes) {
  const bool had_ticket = has_ticket_;
  has_ticket_ = false;
  hash_.Begin();
  if (!had_ticket) return DeviceStatus::kNeedsKey;
  // A commit of training may have come in between.
  if (ticket_.counter != trainer_->sink().store().sequence()) return DeviceStatus::kOldCounter;
  const bool fits = ticket_.request == static_cast<uint32_t>(kind) &&
                    ticket_.region == static_cast<uint32_t>(region) && ticket_.bytes == bytes;
  return fits ? DeviceStatus::kOk : DeviceStatus::kBadTag;
}

DeviceStatus SignedHandler::CheckDigest() {
  uint8_t digest[kSha256Bytes];
  hash_.Finish(digest);
  return IsSameTag(digest, reinterpret_cast<const uint8_t*>(ticket_.digest))
             ? DeviceStatus::kOk
             : DeviceStatus::kBadTag;
}

}  // namespace medyate
