#ifndef TESTS_TFLM_OPS_DEVICE_LINE_BOARD_H_
#define TESTS_TFLM_OPS_DEVICE_LINE_BOARD_H_

// A real trainer at the device's end of the serial protocol, and a host that speaks in frames.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/device/protocol_frames.h"
#include "tests/tflm_ops/trainer/trainer_world.h"
#include "tflm_ops/device/trainer_handler.h"

namespace medyate {

inline std::ostream& operator<<(std::ostream& out, DeviceStatus status) {
  return out << DeviceStatusName(status);
}

typedef std::vector<float> Floats;

const uint32_t kWords = 64;  // Of the session's buffers, the smallest there are.

// A board, its flash apart, and a host at its line.
//
// Args:
//   Type: of the handler, made of a trainer and `more`.
template <typename Type>
class BoardOf {
 public:
  template <typename... More>
  BoardOf(const TestModel& model, MappedFlash* flash, bool begins = true, More... more)
      : device(model, flash),
        handler_(&device.trainer, more...),
        session_(&handler_, &sink_, request_, kWords, answer_, kWords) {
    if (begins) began = device.trainer.Begin();
    Connect();
  }

  // Begins a session.
  //
  // Args:
  //   classes: what the host takes the board for.
  DeviceStatus Connect(uint32_t classes = kAny) {
    ++id_;
    sequence_ = 100 * id_;
    HelloRequest request = AnyHello();
    request.classes = classes;
    hello = Ask(RequestKind::kHello, Pack(request));
    return hello.status();
  }

  Type& handler() { return handler_; }

  Answer Ask(RequestKind kind, const Bytes& payload = {}) {
    sink_.written.clear();
    const Bytes request = Request(kind, id_, ++sequence_, payload);
    session_.Receive(request.data(), request.size(), ++now_ms_);
    const std::vector<Answer> answers = ReadAll(sink_.written);
    EXPECT_EQ(answers.size(), 1u);
    return answers.empty() ? Answer{} : answers.front();
  }

  DeviceStatus Do(RequestKind kind, const Bytes& payload = {}) {
    return Ask(kind, payload).status();
  }

  // A sample as the hello wants it.
  Bytes Kept(const Floats& sample) const {
    const uint8_t* floats = reinterpret_cast<const uint8_t*>(sample.data());
    const HelloAnswer info = hello.As<HelloAnswer>();
    if (info.sample_is_int8 == 0) return Bytes(floats, floats + 4 * sample.size());
    const SampleType type = {info.sample_factor, info.sample_offset, info.sample_scale,
                             info.sample_zero};
    Bytes kept(sample.size());
    StoreSample(type, sample.data(), static_cast<int>(sample.size()),
                reinterpret_cast<int8_t*>(kept.data()));
    return kept;
  }

  DeviceStatus Step(const Floats& sample, uint32_t label, float* loss = nullptr) {
    const StepRequest words = {0, label};
    const Bytes kept = Kept(sample);
    const Answer answer = Ask(RequestKind::kStep, Pack(words, kept.data(), kept.size()));
    if (loss && answer.status() == DeviceStatus::kOk) *loss = answer.As<StepAnswer>().loss;
    return answer.status();
  }

  Floats Predict(uint32_t seed) {
    const PartRequest words = {0};
    const Bytes kept = Kept(Sample(seed));
    const Answer answer = Ask(RequestKind::kPredict, Pack(words, kept.data(), kept.size()));
    EXPECT_EQ(answer.status(), DeviceStatus::kOk);
    Floats scores(answer.payload.size() / 4);
    memcpy(scores.data(), answer.payload.data(), answer.payload.size());
    return scores;
  }

  // Two epochs of a few samples.
  void Train(uint32_t seed) {
    for (uint32_t epoch = 0; epoch < 2; ++epoch) {
      for (uint32_t i = 0; i < 6; ++i) {
        const uint32_t label = i % static_cast<uint32_t>(device.trainer.classes());
        ASSERT_EQ(Step(Sample(seed + i), label), DeviceStatus::kOk);
      }
      ASSERT_EQ(Do(RequestKind::kEndEpoch), DeviceStatus::kOk);
    }
  }

  Bytes Pull(Region region) {
    Bytes data;
    for (;;) {
      const PullRequest words = {static_cast<uint32_t>(region), static_cast<uint32_t>(data.size())};
      const Answer answer = Ask(RequestKind::kPull, Pack(words));
      EXPECT_EQ(answer.status(), DeviceStatus::kOk);
      if (answer.status() != DeviceStatus::kOk) return data;
      const PullAnswer part = answer.As<PullAnswer>();
      data.insert(data.end(), answer.payload.begin() + sizeof(part), answer.payload.end());
      if (data.size() < part.total) continue;
      EXPECT_EQ(Crc32(0, data.data(), data.size()), part.crc);
      return data;
    }
  }

  std::string Names() {
    const Bytes data = Pull(Region::kNames);
    return std::string(data.begin(), data.end());
  }

  // Pushes the first `bytes` bytes, in parts of up to `part` bytes.
  DeviceStatus PushSome(Region region, const Bytes& data, size_t bytes, size_t part = 224) {
    const uint32_t crc = Crc32(0, data.data(), data.size());
    size_t offset = 0;
    do {
      const size_t n = std::min(part, bytes - offset);
      const PushRequest words = {static_cast<uint32_t>(region), static_cast<uint32_t>(data.size()),
                                 crc, static_cast<uint32_t>(offset)};
      const DeviceStatus status = Do(RequestKind::kPush, Pack(words, data.data() + offset, n));
      if (status != DeviceStatus::kOk) return status;
      offset += n;
    } while (offset < bytes);
    return DeviceStatus::kOk;
  }

  DeviceStatus Push(Region region, const Bytes& data, size_t part = 224) {
    return PushSome(region, data, data.size(), part);
  }

  DeviceStatus PushNames(const std::string& text) {
    return Push(Region::kNames, Bytes(text.begin(), text.end()));
  }

  DeviceStatus Enrol(const std::string& name, uint32_t* label = nullptr) {
    const Answer answer = Ask(RequestKind::kEnrol, Bytes(name.begin(), name.end()));
    if (label && answer.status() == DeviceStatus::kOk) *label = answer.As<EnrolAnswer>().label;
    return answer.status();
  }

  StatusAnswer Status() {
    const Answer answer = Ask(RequestKind::kStatus);
    return answer.As<StatusAnswer>();
  }

  Floats Weights() const {
    const Trainer& trainer = device.trainer;
    return Floats(trainer.weights(), trainer.weights() + trainer.model().weights_floats);
  }

  TestDevice device;
  TrainerStatus began = TrainerStatus::kNotInitialized;
  Answer hello;

 private:
  Type handler_;
  Collector sink_;
  uint32_t request_[kWords];
  uint32_t answer_[kWords];
  Session session_;
  uint32_t id_ = 6;
  uint32_t sequence_ = 0;
  uint32_t now_ms_ = 0;
};

typedef BoardOf<TrainerHandler> Board;

inline Bytes BytesOf(const Floats& floats, const std::string& text = "") {
  Bytes bytes(4 * floats.size() + text.size());
  memcpy(bytes.data(), floats.data(), 4 * floats.size());
  memcpy(bytes.data() + 4 * floats.size(), text.data(), text.size());
  return bytes;
}

}  // namespace medyate

#endif  // TESTS_TFLM_OPS_DEVICE_LINE_BOARD_H_
