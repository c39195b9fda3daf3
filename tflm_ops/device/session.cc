#include "tflm_ops/device/session.h"

#include <string.h>

#include "tflm_ops/store/crc32.h"

namespace medyate {
namespace {

const uint32_t kLongestName = 60;
// A refusal is built here, because the answer buffer holds the last answer: header, hello answer
// and name, checksum.
const uint32_t kRefusalWords = kLeastBufferWords;
const uint32_t kRefusalRoom = PayloadRoom(kRefusalWords);

static_assert(sizeof(HelloAnswer) + kLongestName <= kRefusalRoom, "a hello fits");
static_assert(sizeof(StatusAnswer) <= kRefusalRoom, "a status fits");

FrameHeader AnswerHeader(uint8_t kind, DeviceStatus status, uint32_t bytes, uint32_t session,
                         uint32_t sequence) {
  return {static_cast<uint8_t>(kind | kAnswerBit), static_cast<uint8_t>(status),
          static_cast<uint16_t>(bytes), session, sequence};
}

}  // namespace

template <typename Words>
bool Session::Take(Words* words) {
  if (reader_.header().payload_bytes < sizeof(Words)) return false;
  memcpy(words, reader_.payload(), sizeof(Words));
  return true;
}

template <typename Words>
void Session::Put(const Words& words) {
  memcpy(answer_payload(), &words, sizeof(Words));
  answer_bytes_ = sizeof(Words);
}

// --- bytes and time

void Session::Receive(const uint8_t* data, size_t bytes, uint32_t now_ms) {
  if (!is_ready_) return;
  PassTime(now_ms);
  for (size_t i = 0; i < bytes; ++i) {
    last_byte_ms_ = now_ms_;
    const FrameReader::Event event = reader_.Push(data[i]);
    if (event == FrameReader::Event::kFrame) HandleFrame();
    if (event == FrameReader::Event::kError) HandleBadFrame(reader_.error());
  }
}

void Session::PassTime(uint32_t now_ms) {
  now_ms_ = now_ms;
  // While a request was carried out nobody could look at the line.
  if (is_clock_stale_) last_byte_ms_ = last_request_ms_ = now_ms;
  is_clock_stale_ = false;
  if (reader_.is_inside() && now_ms - last_byte_ms_ >= kFrameTimeoutMs) {
    reader_.Drop();
    HandleBadFrame(DeviceStatus::kFrameTimedOut);
  }
  if (transfer_ != Transfer::kNone && now_ms - last_request_ms_ >= kTransferTimeoutMs) {
    EndTransfer();
  }
}

// Nobody knows whose frame it was: says so without being asked.
void Session::HandleBadFrame(DeviceStatus status) {
  ++bad_frames_;
  last_bad_frame_ = status;
  uint32_t frame[(kFrameHeaderBytes + sizeof(ErrorAnswer) + kFrameChecksumBytes) / 4];
  const ErrorAnswer error = {status == DeviceStatus::kOversized ? request_room_ : 0};
  memcpy(frame + kFrameHeaderBytes / 4, &error, sizeof(error));
  const uint8_t notice = static_cast<uint8_t>(RequestKind::kNotice);
  SealFrame(AnswerHeader(notice, status, sizeof(error), session_, sequence_), frame);
  WriteFrame(frame, sink_);
}

// --- frames

void Session::HandleFrame() {
  const FrameHeader& header = reader_.header();
  if (header.kind & kAnswerBit) return;  // An echo of our own.
  if (session_ == 0 || header.session != session_) return HandleForeign();
  if (header.sequence == sequence_ && reader_.checksum() == checksum_) {
    ++repeats_;
    return WriteFrame(answer_, sink_);
  }
  if (header.sequence != sequence_ + 1) {
    const ErrorAnswer error = {sequence_ + 1};
    return Refuse(DeviceStatus::kOutOfOrder, &error, sizeof(error));
  }
  CarryOut();
}

// A frame of no session, of the one before, or the first of a new one.
void Session::HandleForeign() {
  const FrameHeader& header = reader_.header();
  const ErrorAnswer error = {session_};
  if (header.kind != static_cast<uint8_t>(RequestKind::kHello)) {
    return Refuse(DeviceStatus::kNoSession, &error, sizeof(error));
  }
  // A copy of an old hello must not end the session that came after it.
  if (header.session != 0 && header.session == previous_) {
    return Refuse(DeviceStatus::kStaleSession, &error, sizeof(error));
  }
  HandleHello();
}

void Session::HandleHello() {
  HelloAnswer info;
  // Into a buffer of its own: as long as the host is not accepted, the answer to another one stays.
  uint8_t payload[kRefusalRoom];
  const uint32_t bytes =
      Fill(&info, reinterpret_cast<char*>(payload + sizeof(info)), sizeof(payload) - sizeof(info));
  memcpy(payload, &info, sizeof(info));
  const DeviceStatus status = CheckHello(info);
  if (status != DeviceStatus::kOk) return Refuse(status, payload, bytes);
  EndTransfer();
  const FrameHeader& header = reader_.header();
  previous_ = session_;
  session_ = header.session;
  sequence_ = header.sequence;
  checksum_ = reader_.checksum();
  frames_ = 1;
  repeats_ = 0;
  sample_bytes_ = info.sample_is_int8 ? sizeof(int8_t) : sizeof(float);
  for (uint32_t i = 0; i < info.sample_rank; ++i) sample_bytes_ *= info.sample_dims[i];
  classes_ = info.classes;
  outputs_ = info.outputs;
  memcpy(answer_payload(), payload, bytes);
  SealFrame(AnswerHeader(header.kind, DeviceStatus::kOk, bytes, session_, sequence_), answer_);
  WriteFrame(answer_, sink_);
}

// Returns the size of the hello's answer.
uint32_t Session::Fill(HelloAnswer* info, char* name, uint32_t room) const {
  memset(info, 0, sizeof(*info));
  const char* text = nullptr;
  handler_->Describe(info, &text);
  info->version = kProtocolVersion;
  info->request_bytes = request_room_;
  info->answer_bytes = answer_room_;
  if (info->sample_rank > kMaxSampleRank) info->sample_rank = kMaxSampleRank;
  uint32_t length = 0;
  for (; text && text[length] && length < room && length < kLongestName; ++length) {
    name[length] = text[length];
  }
  return sizeof(*info) + length;
}

DeviceStatus Session::CheckHello(const HelloAnswer& info) const {
  HelloRequest hello;
  const FrameHeader& header = reader_.header();
  if (header.payload_bytes != sizeof(hello)) return DeviceStatus::kBadPayload;
  memcpy(&hello, reader_.payload(), sizeof(hello));
  if (hello.magic != kProtocolMagic || header.session == 0) return DeviceStatus::kBadPayload;
  if (hello.oldest_version > kProtocolVersion || hello.newest_version < kProtocolVersion) {
    return DeviceStatus::kBadVersion;
  }
  const bool any_model = hello.model_hash[0] == 0 && hello.model_hash[1] == 0;
  if (!any_model && memcmp(hello.model_hash, info.model_hash, sizeof(hello.model_hash)) != 0) {
    return DeviceStatus::kOtherModel;
  }
  const bool same_rank = hello.sample_rank == info.sample_rank;
  if (hello.sample_rank != 0 &&
      (!same_rank || memcmp(hello.sample_dims, info.sample_dims, 4 * info.sample_rank) != 0)) {
    return DeviceStatus::kOtherShape;
  }
  // Data may leave out spare classes.
  const bool fits = hello.classes >= info.factory_classes && hello.classes <= info.classes;
  if (hello.classes != kAny && !fits) return DeviceStatus::kOtherClasses;
  return DeviceStatus::kOk;
}

// Answers the frame that was just read; neither the session nor its last answer changes.
void Session::Refuse(DeviceStatus status, const void* payload, uint32_t bytes) {
  uint32_t frame[kRefusalWords];
  memcpy(reinterpret_cast<uint8_t*>(frame) + kFrameHeaderBytes, payload, bytes);
  const FrameHeader& header = reader_.header();
  SealFrame(AnswerHeader(header.kind, status, bytes, header.session, header.sequence), frame);
  WriteFrame(frame, sink_);
}

// --- requests

void Session::CarryOut() {
  const FrameHeader& header = reader_.header();
  sequence_ = header.sequence;
  checksum_ = reader_.checksum();
  last_request_ms_ = now_ms_;
  ++frames_;
  answer_bytes_ = 0;
  detail_ = 0;
  const DeviceStatus status = Dispatch(static_cast<RequestKind>(header.kind));
  is_clock_stale_ = true;
  if (status != DeviceStatus::kOk) {
    const ErrorAnswer error = {detail_};
    Put(error);
  }
  SealFrame(AnswerHeader(header.kind, status, answer_bytes_, session_, sequence_), answer_);
  WriteFrame(answer_, sink_);
}

DeviceStatus Session::Dispatch(RequestKind kind) {
  switch (kind) {
    case RequestKind::kStatus:
      return AnswerStatus();
    case RequestKind::kSample:
      return TakeSample(sizeof(PartRequest), false);
    case RequestKind::kStep:
      return AnswerStep();
    case RequestKind::kPredict:
      return AnswerPredict();
    case RequestKind::kPull:
      return AnswerPull();
    case RequestKind::kPush:
      return AnswerPush();
    case RequestKind::kEnrol:
      return AnswerEnrol();
    default:
      return DispatchTraining(kind);
  }
}

// Requests and answers without a payload.
DeviceStatus Session::DispatchTraining(RequestKind kind) {
  const bool is_known = kind == RequestKind::kEndEpoch || kind == RequestKind::kCommit ||
                        kind == RequestKind::kDiscard || kind == RequestKind::kReset;
  if (!is_known) return DeviceStatus::kUnknownRequest;
  if (reader_.header().payload_bytes != 0) return DeviceStatus::kBadPayload;
  EndTransfer();
  switch (kind) {
    case RequestKind::kEndEpoch:
      return handler_->EndEpoch();
    case RequestKind::kCommit:
      return handler_->Commit();
    case RequestKind::kDiscard:
      return handler_->Discard();
    default:
      return handler_->Reset();
  }
}

DeviceStatus Session::AnswerStatus() {
  if (reader_.header().payload_bytes != 0) return DeviceStatus::kBadPayload;
  StatusAnswer status;
  memset(&status, 0, sizeof(status));
  handler_->Report(&status);
  status.frames = frames_;
  status.repeats = repeats_;
  status.bad_frames = bad_frames_;
  status.last_bad_frame = static_cast<uint32_t>(last_bad_frame_);
  Put(status);
  return DeviceStatus::kOk;
}

void Session::EndTransfer() {
  if (transfer_ == Transfer::kPush) handler_->AbandonPush();
  transfer_ = Transfer::kNone;
}

// Puts a part of a sample after those that came before.
//
// Args:
//   skip: bytes of the payload before it.
//   is_last: whether the sample must be complete then.
DeviceStatus Session::TakeSample(uint32_t skip, bool is_last) {
  PartRequest part;
  if (!Take(&part) || reader_.header().payload_bytes < skip) return DeviceStatus::kBadPayload;
  const uint32_t bytes = reader_.header().payload_bytes - skip;
  if (transfer_ != Transfer::kSample || part.offset == 0) {
    EndTransfer();
    done_ = 0;
  }
  if (part.offset != done_ || bytes > sample_bytes_ - done_) {
    detail_ = part.offset != done_ ? done_ : sample_bytes_;
    return part.offset != done_ ? DeviceStatus::kBadOffset : DeviceStatus::kBadPayload;
  }
  if (is_last && done_ + bytes != sample_bytes_) {
    detail_ = sample_bytes_;
    return DeviceStatus::kBadPayload;
  }
  void* sample = handler_->Sample();
  if (!sample) return DeviceStatus::kNotInitialized;
  memcpy(static_cast<uint8_t*>(sample) + done_, reader_.payload() + skip, bytes);
  done_ += bytes;
  // The last part is used up by what is done with it.
  transfer_ = is_last ? Transfer::kNone : Transfer::kSample;
  return DeviceStatus::kOk;
}

DeviceStatus Session::AnswerStep() {
  const uint32_t label_bytes = classes_ > 0 ? 4 : 4 * outputs_;
  const DeviceStatus status = TakeSample(sizeof(PartRequest) + label_bytes, true);
  if (status != DeviceStatus::kOk) return status;
  StepAnswer answer = {0.0f};
  const uint8_t* label = reader_.payload() + sizeof(PartRequest);
  DeviceStatus result;
  if (classes_ > 0) {
    uint32_t number;
    memcpy(&number, label, sizeof(number));
    result = handler_->Step(handler_->Sample(), number, &answer.loss);
    if (result == DeviceStatus::kLabelOutOfRange) detail_ = classes_;
  } else {
    // Header and offset before it are whole words, so it is aligned.
    result = handler_->StepTarget(handler_->Sample(), reinterpret_cast<const float*>(label),
                                  &answer.loss);
  }
  Put(answer);
  return result;
}

DeviceStatus Session::AnswerPredict() {
  if (4 * outputs_ > answer_room_) {
    detail_ = 4 * outputs_;
    return DeviceStatus::kAnswerTooLong;
  }
  const DeviceStatus status = TakeSample(sizeof(PartRequest), true);
  if (status != DeviceStatus::kOk) return status;
  answer_bytes_ = 4 * outputs_;
  return handler_->Predict(handler_->Sample(), reinterpret_cast<float*>(answer_payload()));
}

// --- regions

DeviceStatus Session::AnswerPull() {
  PullRequest pull;
  if (reader_.header().payload_bytes != sizeof(pull) || !Take(&pull)) {
    return DeviceStatus::kBadPayload;
  }
  if (pull.offset == 0) {
    EndTransfer();
    const DeviceStatus opened =
        handler_->OpenPull(static_cast<Region>(pull.region), &total_, &crc_);
    if (opened != DeviceStatus::kOk) return opened;
    transfer_ = Transfer::kPull;
    region_ = pull.region;
  } else if (transfer_ != Transfer::kPull || pull.region != region_ || pull.offset > total_) {
    return DeviceStatus::kBadOffset;
  }
  const PullAnswer answer = {total_, crc_, pull.offset};
  Put(answer);
  const uint32_t room = answer_room_ - static_cast<uint32_t>(sizeof(answer));
  const uint32_t left = total_ - pull.offset;
  const uint32_t bytes = left < room ? left : room;
  answer_bytes_ += bytes;
  return handler_->ReadPull(pull.offset, answer_payload() + sizeof(answer), bytes);
}

DeviceStatus Session::AnswerPush() {
  PushRequest push;
  if (!Take(&push)) return DeviceStatus::kBadPayload;
  if (push.offset == 0) {
    EndTransfer();
    const DeviceStatus begun = handler_->BeginPush(static_cast<Region>(push.region), push.total);
    if (begun != DeviceStatus::kOk) return begun;
    transfer_ = Transfer::kPush;
    region_ = push.region;
    total_ = push.total;
    crc_ = push.crc;
    done_ = done_crc_ = 0;
  }
  const bool goes_on = transfer_ == Transfer::kPush && push.region == region_ &&
                       push.total == total_ && push.crc == crc_ && push.offset == done_;
  if (!goes_on) {
    detail_ = transfer_ == Transfer::kPush ? done_ : 0;
    return DeviceStatus::kBadOffset;
  }
  const DeviceStatus status = TakePush(push, reader_.header().payload_bytes - sizeof(push));
  // After any error it has to begin again.
  if (status != DeviceStatus::kOk) EndTransfer();
  return status;
}

DeviceStatus Session::TakePush(const PushRequest& push, uint32_t bytes) {
  if (bytes > total_ - done_ || (bytes == 0 && total_ > 0)) {
    detail_ = total_ - done_;
    return DeviceStatus::kBadPayload;
  }
  const uint8_t* data = reader_.payload() + sizeof(push);
  const DeviceStatus written = handler_->WritePush(push.offset, data, bytes);
  if (written != DeviceStatus::kOk) return written;
  done_ += bytes;
  done_crc_ = Crc32(done_crc_, data, bytes);
  if (done_ < total_) return DeviceStatus::kOk;
  if (done_crc_ != crc_) return DeviceStatus::kPushDamaged;
  transfer_ = Transfer::kNone;
  return handler_->FinishPush();
}

DeviceStatus Session::AnswerEnrol() {
  const uint32_t length = reader_.header().payload_bytes;
  char name[kLongestName + 1];
  if (length == 0 || length > kLongestName || memchr(reader_.payload(), 0, length)) {
    detail_ = kLongestName;
    return DeviceStatus::kBadName;
  }
  memcpy(name, reader_.payload(), length);
  name[length] = 0;
  EndTransfer();
  EnrolAnswer answer = {0};
  const DeviceStatus status = handler_->Enrol(name, &answer.label);
  Put(answer);
  return status;
}

}  // namespace medyate
