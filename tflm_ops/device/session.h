#ifndef TFLM_OPS_DEVICE_SESSION_H_
#define TFLM_OPS_DEVICE_SESSION_H_

// The device's end of the serial protocol; docs/protocol.md says how it works and why it holds.
//
//   uint32_t request[256], answer[256];
//   medyate::Session session(&handler, &uart, request, 256, answer, 256);
//   for (;;) {
//     n = ReadUart(bytes, sizeof(bytes));
//     session.Receive(bytes, n, millis());     // also with n == 0: time goes on
//   }
//
// Every request is carried out exactly once: one that comes again, because its answer was lost, is
// given the same answer again. What cannot be read or does not belong here is answered by what was
// wrong with it, and changes nothing. No heap. Not thread-safe.

#include <stddef.h>
#include <stdint.h>

#include "tflm_ops/device/framing.h"
#include "tflm_ops/device/protocol.h"

namespace medyate {

// What the firmware does about each request. Whatever is called returns before the next request
// is looked at. A status but kOk goes to the host, with its number and name.
class Handler {
 public:
  // What model is here. The session fills in version, request_bytes and answer_bytes.
  //
  // Args:
  //   name: ends with a zero byte and stays valid; cut if it is long.
  virtual void Describe(HelloAnswer* info, const char** name) = 0;

  // Counters. The session fills in frames, repeats, bad_frames and last_bad_frame.
  virtual void Report(StatusAnswer* status) = 0;

  // Where the next sample shall be put, [product of sample_dims] of float or of int8 as Describe
  // says, 4-aligned, the same place until another method but Describe and Report is called. After
  // that its content is not used again. Null if there is no model to give it to.
  virtual void* Sample() = 0;

  // Learns from one sample.
  //
  // Args:
  //   sample: what Sample() returned.
  //   label: any number.
  //   loss: 0 unless set.
  virtual DeviceStatus Step(const void* sample, uint32_t label, float* loss) = 0;

  // The same for a model without classes.
  //
  // Args:
  //   target: [outputs].
  virtual DeviceStatus StepTarget(const void* sample, const float* target, float* loss) {
    (void)sample, (void)target, (void)loss;
    return DeviceStatus::kNotSupported;
  }

  // Args:
  //   scores: [outputs]; written.
  virtual DeviceStatus Predict(const void* sample, float* scores) = 0;

  virtual DeviceStatus EndEpoch() = 0;
  virtual DeviceStatus Commit() = 0;
  virtual DeviceStatus Discard() = 0;

  // Forgets all that was ever learned.
  virtual DeviceStatus Reset() { return DeviceStatus::kNotSupported; }

  // Args:
  //   name: UTF-8, 1 to 60 bytes, and a zero byte.
  //   label: of the new class; written.
  virtual DeviceStatus Enrol(const char* name, uint32_t* label) {
    (void)name, (void)label;
    return DeviceStatus::kNotSupported;
  }

  // Makes a region ready to be pulled. It must not change until another method but ReadPull is
  // called; Describe, Report and Sample do not count.
  //
  // Args:
  //   bytes, crc: its size and its CRC-32; written.
  virtual DeviceStatus OpenPull(Region region, uint32_t* bytes, uint32_t* crc) {
    (void)region, (void)bytes, (void)crc;
    return DeviceStatus::kNoSuchRegion;
  }

  // Reads `bytes` bytes of the region that was opened last, never beyond its end.
  virtual DeviceStatus ReadPull(uint32_t offset, uint8_t* out, uint32_t bytes) {
    (void)offset, (void)out, (void)bytes;
    return DeviceStatus::kNoSuchRegion;
  }

  // Parts come in order and without gaps, `total` bytes in all. Nothing counts before FinishPush,
  // which is called when all are there and their checksum is right. If it does not come to that,
  // AbandonPush is called.
  virtual DeviceStatus BeginPush(Region region, uint32_t total) {
    (void)region, (void)total;
    return DeviceStatus::kNoSuchRegion;
  }
  virtual DeviceStatus WritePush(uint32_t offset, const uint8_t* data, uint32_t bytes) {
    (void)offset, (void)data, (void)bytes;
    return DeviceStatus::kNoSuchRegion;
  }
  virtual DeviceStatus FinishPush() { return DeviceStatus::kNoSuchRegion; }
  virtual void AbandonPush() {}

 protected:
  ~Handler() = default;
};

class Session {
 public:
  // Args:
  //   request, answer: [words], at least kLeastBufferWords each; smaller ones make a session that
  //     hears nothing, see is_ready(). A longer request buffer spares round trips; a prediction's
  //     scores must fit the answer buffer.
  Session(Handler* handler, ByteSink* sink, uint32_t* request, uint32_t request_words,
          uint32_t* answer, uint32_t answer_words)
      : handler_(handler),
        sink_(sink),
        reader_(request, request_words),
        answer_(answer),
        request_room_(PayloadRoom(request_words)),
        answer_room_(PayloadRoom(answer_words)),
        is_ready_(request_words >= kLeastBufferWords && answer_words >= kLeastBufferWords) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes what came in, carries out what is complete, answers. To be called at least every
  // kFrameTimeoutMs / 2, if need be without bytes.
  //
  // Args:
  //   now_ms: any clock of milliseconds; may wrap around.
  void Receive(const uint8_t* data, size_t bytes, uint32_t now_ms);

  bool is_ready() const { return is_ready_; }
  // Whether a host has said hello.
  bool is_connected() const { return session_ != 0; }

 private:
  // What is going on over several requests; anything else that is carried out ends it.
  enum class Transfer : uint8_t { kNone, kSample, kPull, kPush };

  uint8_t* answer_payload() { return reinterpret_cast<uint8_t*>(answer_) + kFrameHeaderBytes; }
  void PassTime(uint32_t now_ms);
  void HandleBadFrame(DeviceStatus status);
  void HandleFrame();
  void HandleForeign();
  void HandleHello();
  DeviceStatus CheckHello(const HelloAnswer& info) const;
  void Refuse(DeviceStatus status, const void* payload, uint32_t bytes);
  void CarryOut();
  DeviceStatus Dispatch(RequestKind kind);
  DeviceStatus DispatchTraining(RequestKind kind);
  DeviceStatus AnswerStatus();
  DeviceStatus TakeSample(uint32_t skip, bool is_last);
  DeviceStatus AnswerStep();
  DeviceStatus AnswerPredict();
  DeviceStatus AnswerPull();
  DeviceStatus AnswerPush();
  DeviceStatus TakePush(const PushRequest& push, uint32_t bytes);
  DeviceStatus AnswerEnrol();
  void EndTransfer();
  uint32_t Fill(HelloAnswer* info, char* name, uint32_t room) const;

  // Copies the fixed part of the request's payload; false if it is too short.
  template <typename Words>
  bool Take(Words* words);
  template <typename Words>
  void Put(const Words& words);

  Handler* handler_;
  ByteSink* sink_;
  FrameReader reader_;
  uint32_t* answer_;  // The last answer, to be given again.
  uint32_t request_room_;
  uint32_t answer_room_;
  bool is_ready_;

  uint32_t session_ = 0;   // 0: no host yet.
  uint32_t previous_ = 0;  // The session before, whose frames may still come in.
  uint32_t sequence_ = 0;  // Of the last request that was carried out,
  uint32_t checksum_ = 0;  // and its checksum.

  uint32_t now_ms_ = 0;
  uint32_t last_byte_ms_ = 0;
  uint32_t last_request_ms_ = 0;
  bool is_clock_stale_ = true;  // A request took its time since the clock was read.

  uint32_t sample_bytes_ = 0;  // Of the model, as the host was told.
  uint32_t classes_ = 0;
  uint32_t outputs_ = 0;

  Transfer transfer_ = Transfer::kNone;
  uint32_t region_ = 0;  // Of a push or pull; with `total_` and `crc_` as announced.
  uint32_t total_ = 0;
  uint32_t crc_ = 0;
  uint32_t done_ = 0;      // Bytes of the sample or push that are there,
  uint32_t done_crc_ = 0;  // and the CRC-32 of a push's.

  uint32_t answer_bytes_ = 0;  // Of the payload that is being written.
  uint32_t detail_ = 0;        // For the answer if it is an error.

  uint32_t frames_ = 0;
  uint32_t repeats_ = 0;
  uint32_t bad_frames_ = 0;
  DeviceStatus last_bad_frame_ = DeviceStatus::kOk;
};

}  // namespace medyate

#endif  // TFLM_OPS_DEVICE_SESSION_H_
