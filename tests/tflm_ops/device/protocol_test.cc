// The device's end of the serial protocol: frames, sessions, and what becomes of damaged ones.

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/device/protocol_frames.h"
#include "tests/tflm_ops/device/scripted_handler.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/device/framing.h"
#include "tflm_ops/device/session.h"

namespace medyate {
namespace {

using math::Random;
typedef std::vector<float> Floats;

Bytes Step(uint32_t offset, uint32_t label, const Floats& sample) {
  const StepRequest words = {offset, label};
  return Pack(words, sample.data(), 4 * sample.size());
}

const uint32_t kWords = 70;  // Of the device's buffers.

// A device and a line to it.
class Device {
 public:
  explicit Device(uint32_t classes = 5, std::vector<uint32_t> dims = {2, 3},
                  uint32_t answer_words = kWords)
      : handler(dims, classes, 5),
        request_(kWords),
        answer_(answer_words),
        session(&handler, &sink_, request_.data(), kWords, answer_.data(), answer_words) {}

  // What the device answers to these bytes.
  std::vector<Answer> Send(const Bytes& bytes) {
    sink_.written.clear();
    session.Receive(bytes.data(), bytes.size(), now_ms);
    return ReadAll(sink_.written);
  }

  Answer Only(const Bytes& bytes) {
    const std::vector<Answer> answers = Send(bytes);
    EXPECT_EQ(answers.size(), 1u);
    return answers.empty() ? Answer{} : answers.front();
  }

  // The next request of the session.
  Answer Ask(RequestKind kind, const Bytes& payload = {}) {
    ++sequence;
    const Answer answer = Only(Request(kind, id, sequence, payload));
    EXPECT_EQ(answer.header.kind, static_cast<uint8_t>(kind) | kAnswerBit);
    EXPECT_EQ(answer.header.session, id);
    EXPECT_EQ(answer.header.sequence, sequence);
    return answer;
  }

  Answer Connect(uint32_t new_id = 77, uint32_t first = 1000) {
    id = new_id;
    sequence = first - 1;
    return Ask(RequestKind::kHello, Pack(AnyHello()));
  }

  ScriptedHandler handler;
  uint32_t id = 0;
  uint32_t sequence = 0;
  uint32_t now_ms = 0xfffffff0u;  // About to wrap around.

 private:
  Collector sink_;
  std::vector<uint32_t> request_;
  std::vector<uint32_t> answer_;

 public:
  Session session;
};

// --- frames

TEST(Framing, BytesAreThoseOfTheDocumentation) {
  const Bytes expected = {0x00, 0x02, 0x02, 0x01, 0x01, 0x0d, 0x04, 0x03, 0x02, 0x01,
                          0x08, 0x07, 0x06, 0x05, 0x4f, 0xa9, 0x2f, 0xb4, 0x00};
  EXPECT_EQ(Request(RequestKind::kStatus, 0x01020304, 0x05060708, {}), expected);
}

TEST(Framing, EveryLengthComesBack) {
  Random random(1);
  for (int size = 0; size < 1100; ++size) {
    Bytes payload(size);
    // Mostly zeros, none at all, or runs of either around the longest that one code byte counts.
    const int style = random.Int(0, 2);
    for (uint8_t& byte : payload) {
      byte = static_cast<uint8_t>(style == 0 ? random.Int(0, 1) : random.Int(style == 1, 255));
    }
    const Bytes bytes = Request(RequestKind::kStep, 1, static_cast<uint32_t>(size), payload);
    EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 0), 2);
    EXPECT_LE(bytes.size(), 2 + 16 + payload.size() + (16 + payload.size()) / 254 + 1);
    const std::vector<Answer> read = ReadAll(bytes);
    ASSERT_EQ(read.size(), 1u) << size;
    EXPECT_EQ(read[0].payload, payload);
    EXPECT_EQ(read[0].header.sequence, static_cast<uint32_t>(size));
  }
}

DeviceStatus ErrorOf(const Bytes& bytes, uint32_t words) {
  std::vector<uint32_t> buffer(words);
  FrameReader reader(buffer.data(), words);
  for (uint8_t byte : bytes) {
    if (reader.Push(byte) == FrameReader::Event::kError) return reader.error();
  }
  return DeviceStatus::kOk;
}

TEST(Framing, SaysWhatIsWrong) {
  const Bytes good = Request(RequestKind::kStep, 1, 2, Bytes(100, 7));
  EXPECT_EQ(ErrorOf(good, 29), DeviceStatus::kOk);
  EXPECT_EQ(ErrorOf(good, 28), DeviceStatus::kOversized);
  Bytes cut(good.begin(), good.begin() + 50);
  cut.push_back(0);
  EXPECT_EQ(ErrorOf(cut, 29), DeviceStatus::kTruncated);
  EXPECT_EQ(ErrorOf({0, 1, 1, 1, 0}, 29), DeviceStatus::kTruncated);
  Bytes flipped = good;
  flipped[40] ^= 4;
  EXPECT_EQ(ErrorOf(flipped, 29), DeviceStatus::kBadChecksum);
  // A sound checksum over a header that announces less than there is.
  uint32_t frame[29] = {};
  const FrameHeader header = {4, 0, 100, 1, 2};
  SealFrame(header, frame);
  const uint16_t announced = 90;
  memcpy(reinterpret_cast<uint8_t*>(frame) + 2, &announced, 2);
  const uint32_t crc = Crc32(0, frame, 112);
  memcpy(frame + 28, &crc, 4);
  // Stuffed by hand: the writer would believe the header.
  Bytes bytes;
  const uint8_t* body = reinterpret_cast<const uint8_t*>(frame);
  for (size_t at = 0; at <= 116;) {
    size_t run = 0;
    while (at + run < 116 && body[at + run] != 0) ++run;
    bytes.push_back(static_cast<uint8_t>(run + 1));
    bytes.insert(bytes.end(), body + at, body + at + run);
    at += run + 1;
  }
  bytes.push_back(0);
  EXPECT_EQ(ErrorOf(bytes, 29), DeviceStatus::kBadLength);
}

TEST(Framing, EveryStatusHasItsOwnName) {
  std::set<std::string> names;
  for (int status = 0; status < 256; ++status) {
    names.insert(DeviceStatusName(static_cast<DeviceStatus>(status)));
  }
  EXPECT_EQ(names.count("unknown"), 1u);
  EXPECT_EQ(names.count("kBadChecksum"), 1u);
  EXPECT_GT(names.size(), 40u);
}

// --- sessions

TEST(Session, HelloTellsWhatIsThere) {
  Device device;
  const Answer answer = device.Connect();
  ASSERT_EQ(answer.status(), DeviceStatus::kOk);
  const HelloAnswer info = answer.As<HelloAnswer>();
  EXPECT_EQ(info.version, kProtocolVersion);
  EXPECT_EQ(info.model_hash[0], kScriptedHashLow);
  EXPECT_EQ(info.sample_rank, 2u);
  EXPECT_EQ(info.sample_dims[1], 3u);
  EXPECT_EQ(info.request_bytes, 4 * kWords - 16);
  EXPECT_EQ(std::string(answer.payload.begin() + sizeof(info), answer.payload.end()), "scripted");
  EXPECT_TRUE(device.session.is_connected());
}

TEST(Session, RefusesOtherHostsByName) {
  struct {
    DeviceStatus status;
    void (*change)(HelloRequest*);
  } cases[] = {
      {DeviceStatus::kBadPayload, [](HelloRequest* h) { h->magic = 1; }},
      {DeviceStatus::kBadVersion,
       [](HelloRequest* h) { h->oldest_version = kProtocolVersion + 1, h->newest_version = 99; }},
      {DeviceStatus::kBadVersion,
       [](HelloRequest* h) { h->oldest_version = h->newest_version = 0; }},
      {DeviceStatus::kOtherModel, [](HelloRequest* h) { h->model_hash[1] = 5; }},
      {DeviceStatus::kOtherShape,
       [](HelloRequest* h) { h->sample_rank = 1, h->sample_dims[0] = 6; }},
      {DeviceStatus::kOtherShape,
       [](HelloRequest* h) { h->sample_rank = 2, h->sample_dims[0] = 3, h->sample_dims[1] = 2; }},
      {DeviceStatus::kOtherShape,
       [](HelloRequest* h) {
         h->sample_rank = 3;
         h->sample_dims[0] = 2;
         h->sample_dims[1] = h->sample_dims[2] = 3;
       }},
      {DeviceStatus::kOtherClasses, [](HelloRequest* h) { h->classes = 4; }},
  };
  Device device;
  for (const auto& c : cases) {
    HelloRequest hello = AnyHello();
    c.change(&hello);
    const Answer answer = device.Only(Request(RequestKind::kHello, 9, 1, Pack(hello)));
    EXPECT_EQ(answer.status(), c.status);
    // The host shall be able to say what there is instead.
    EXPECT_EQ(answer.As<HelloAnswer>().model_hash[0], kScriptedHashLow);
    EXPECT_FALSE(device.session.is_connected());
  }
  EXPECT_EQ(device.Only(Request(RequestKind::kHello, 0, 1, Pack(AnyHello()))).status(),
            DeviceStatus::kBadPayload);
  EXPECT_EQ(device.Only(Request(RequestKind::kCommit, 9, 2, {})).status(),
            DeviceStatus::kNoSession);
  HelloRequest right = AnyHello();
  right.newest_version = 40;
  right.oldest_version = 0;
  right.model_hash[0] = kScriptedHashLow;
  right.model_hash[1] = kScriptedHashHigh;
  right.sample_rank = right.sample_dims[0] = 2;
  right.sample_dims[1] = 3;
  right.classes = 5;
  EXPECT_EQ(device.Only(Request(RequestKind::kHello, 9, 1, Pack(right))).status(),
            DeviceStatus::kOk);
  EXPECT_TRUE(device.handler.log().empty());
}

TEST(Session, ARepeatedRequestIsAnsweredAgainAndNotCarriedOutAgain) {
  Device device;
  device.Connect();
  const Bytes request = Request(RequestKind::kStep, 77, 1001, Step(0, 3, Floats(6, 0.5f)));
  const Answer first = device.Only(request);
  EXPECT_EQ(first.As<StepAnswer>().loss, 6.0f);
  for (int i = 0; i < 3; ++i) {
    const Answer again = device.Only(request);
    EXPECT_EQ(again.payload, first.payload);
    EXPECT_EQ(memcmp(&again.header, &first.header, sizeof(FrameHeader)), 0);
  }
  EXPECT_EQ(device.handler.log(), std::vector<std::string>{"step 3"});
  // The same number with another content, one that was left out, and one from before.
  for (uint32_t sequence : {1001u, 1003u, 1000u}) {
    const Answer refused =
        device.Only(Request(RequestKind::kStep, 77, sequence, Step(0, 4, Floats(6))));
    EXPECT_EQ(refused.status(), DeviceStatus::kOutOfOrder);
    EXPECT_EQ(refused.As<ErrorAnswer>().detail, 1002u);
  }
  // The answer is still there.
  EXPECT_EQ(device.Only(request).payload, first.payload);
  EXPECT_EQ(device.handler.log().size(), 1u);
  device.sequence = 1001;
  const StatusAnswer status = device.Ask(RequestKind::kStatus).As<StatusAnswer>();
  EXPECT_EQ(status.repeats, 4u);
  EXPECT_EQ(status.frames, 3u);
}

TEST(Session, SequenceNumbersWrapAround) {
  Device device;
  device.Connect(5, 0xffffffffu);
  EXPECT_EQ(device.Ask(RequestKind::kCommit).status(), DeviceStatus::kOk);
  EXPECT_EQ(device.sequence, 0u);
}

TEST(Session, AnOldHelloDoesNotEndTheSessionAfterIt) {
  Device device;
  const Bytes old = Request(RequestKind::kHello, 77, 1000, Pack(AnyHello()));
  device.Connect(77);
  device.Connect(78, 5);
  EXPECT_EQ(device.Only(old).status(), DeviceStatus::kStaleSession);
  EXPECT_EQ(device.Only(Request(RequestKind::kCommit, 77, 1001, {})).status(),
            DeviceStatus::kNoSession);
  EXPECT_EQ(device.Ask(RequestKind::kCommit).status(), DeviceStatus::kOk);
}

TEST(Session, AFailedRequestIsAnsweredOnceToo) {
  Device device;
  device.Connect();
  device.handler.FailNext(DeviceStatus::kEpochDiscarded);
  EXPECT_EQ(device.Ask(RequestKind::kEndEpoch).status(), DeviceStatus::kEpochDiscarded);
  const Bytes same = Request(RequestKind::kEndEpoch, 77, device.sequence, {});
  EXPECT_EQ(device.Only(same).status(), DeviceStatus::kEpochDiscarded);
  EXPECT_EQ(device.handler.log().size(), 1u);
  const Answer out = device.Ask(RequestKind::kStep, Step(0, 99, Floats(6)));
  EXPECT_EQ(out.status(), DeviceStatus::kLabelOutOfRange);
  EXPECT_EQ(out.As<ErrorAnswer>().detail, 5u);
  EXPECT_EQ(out.payload.size(), sizeof(ErrorAnswer));
}

TEST(Session, PayloadsOfOtherSizesAreRefused) {
  Device device;
  device.Connect();
  EXPECT_EQ(device.Ask(RequestKind::kCommit, {1}).status(), DeviceStatus::kBadPayload);
  EXPECT_EQ(device.Ask(RequestKind::kStatus, {1}).status(), DeviceStatus::kBadPayload);
  EXPECT_EQ(device.Ask(RequestKind::kStep, Bytes(7)).status(), DeviceStatus::kBadPayload);
  EXPECT_EQ(device.Ask(RequestKind::kPull, Bytes(4)).status(), DeviceStatus::kBadPayload);
  EXPECT_EQ(device.Ask(RequestKind::kPush, Bytes(12)).status(), DeviceStatus::kBadPayload);
  EXPECT_EQ(device.Ask(RequestKind::kEnrol).status(), DeviceStatus::kBadName);
  EXPECT_EQ(device.Ask(RequestKind::kEnrol, {'a', 0, 'b'}).status(), DeviceStatus::kBadName);
  EXPECT_EQ(device.Ask(RequestKind::kEnrol, Bytes(61, 'x')).status(), DeviceStatus::kBadName);
  EXPECT_EQ(device.Ask(RequestKind::kNotice).status(), DeviceStatus::kUnknownRequest);
  EXPECT_EQ(device.Ask(static_cast<RequestKind>(99)).status(), DeviceStatus::kUnknownRequest);
  for (size_t floats : {5u, 7u}) {
    const Answer answer = device.Ask(RequestKind::kStep, Step(0, 1, Floats(floats)));
    EXPECT_EQ(answer.status(), DeviceStatus::kBadPayload);
    EXPECT_EQ(answer.As<ErrorAnswer>().detail, 24u);
  }
  EXPECT_TRUE(device.handler.log().empty());
  EXPECT_EQ(device.Ask(RequestKind::kEnrol, Bytes(60, 'x')).As<EnrolAnswer>().label, 0u);
  EXPECT_EQ(device.Ask(RequestKind::kEnrol, Bytes(60, 'x')).status(), DeviceStatus::kNameTaken);
}

TEST(Session, ALongSampleComesInParts) {
  Device device(5, {10, 10, 2});
  device.Connect();
  Floats sample(200);
  for (int i = 0; i < 200; ++i) sample[i] = static_cast<float>(i);
  const auto part = [&](uint32_t begin, uint32_t end) {
    const PartRequest words = {4 * begin};
    return Pack(words, sample.data() + begin, 4 * (end - begin));
  };
  const Floats rest(sample.begin() + 120, sample.end());
  EXPECT_EQ(device.Ask(RequestKind::kSample, part(100, 160)).status(), DeviceStatus::kBadOffset);
  EXPECT_EQ(device.Ask(RequestKind::kSample, part(0, 40)).status(), DeviceStatus::kOk);
  EXPECT_EQ(device.Ask(RequestKind::kSample, part(0, 60)).status(), DeviceStatus::kOk);
  const Answer gap = device.Ask(RequestKind::kSample, part(61, 120));
  EXPECT_EQ(gap.status(), DeviceStatus::kBadOffset);
  EXPECT_EQ(gap.As<ErrorAnswer>().detail, 240u);
  EXPECT_EQ(device.Ask(RequestKind::kSample, part(60, 120)).status(), DeviceStatus::kOk);
  EXPECT_EQ(device.Ask(RequestKind::kStatus).status(), DeviceStatus::kOk);
  EXPECT_EQ(device.Ask(RequestKind::kSample, part(120, 140)).status(), DeviceStatus::kOk);
  const Floats last(sample.begin() + 140, sample.end());
  const Answer stepped = device.Ask(RequestKind::kStep, Step(560, 2, last));
  ASSERT_EQ(stepped.status(), DeviceStatus::kOk);
  EXPECT_EQ(stepped.As<StepAnswer>().loss, 199.0f * 100 + 2);
  // It is used up, the part that came last and the whole.
  EXPECT_EQ(device.Ask(RequestKind::kStep, Step(560, 2, last)).status(), DeviceStatus::kBadOffset);
  EXPECT_EQ(device.Ask(RequestKind::kStep, Step(800, 2, {})).status(), DeviceStatus::kBadOffset);
  EXPECT_EQ(device.handler.samples(), 1u);
  // Nor does half of one outlive another request.
  for (RequestKind kind : {RequestKind::kCommit, RequestKind::kEnrol}) {
    EXPECT_EQ(device.Ask(RequestKind::kSample, part(0, 60)).status(), DeviceStatus::kOk);
    const Bytes name(kind == RequestKind::kEnrol, 'x');
    EXPECT_EQ(device.Ask(kind, name).status(), DeviceStatus::kOk);
    EXPECT_EQ(device.Ask(RequestKind::kSample, part(60, 120)).status(), DeviceStatus::kBadOffset);
  }
}

TEST(Session, TargetsStandInPlaceOfLabels) {
  Device device(0);
  device.Connect();
  const PartRequest words = {0};
  const Floats values = {1, 2, 3, 4, 5, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
  const Answer answer = device.Ask(RequestKind::kStep, Pack(words, values.data(), 44));
  EXPECT_EQ(answer.As<StepAnswer>().loss, 18.0f);
  EXPECT_EQ(device.handler.log().back(), "target 1");
}

TEST(Session, PredictionsComeBackIfTheyFit) {
  const PartRequest words = {0};
  const Bytes request = Pack(words, Floats(6, 0.25f).data(), 24);
  Device device;
  device.Connect();
  const Answer answer = device.Ask(RequestKind::kPredict, request);
  ASSERT_EQ(answer.payload.size(), 20u);
  float last;
  memcpy(&last, answer.payload.data() + 16, 4);
  EXPECT_EQ(last, 6.0f);
}

TEST(Session, RegionsArePulledAndPushedWhole) {
  Device device;
  device.Connect();
  const PullRequest open = {static_cast<uint32_t>(Region::kWeights), 0};
  Bytes weights;
  uint32_t total = 1, crc = 0;
  while (weights.size() < total) {
    const PullRequest next = {open.region, static_cast<uint32_t>(weights.size())};
    const Answer answer = device.Ask(RequestKind::kPull, Pack(next));
    ASSERT_EQ(answer.status(), DeviceStatus::kOk);
    total = answer.As<PullAnswer>().total;
    crc = answer.As<PullAnswer>().crc;
    weights.insert(weights.end(), answer.payload.begin() + sizeof(PullAnswer),
                   answer.payload.end());
  }
  EXPECT_EQ(weights.size(), 4 * kScriptedWeights);
  EXPECT_EQ(Crc32(0, weights.data(), weights.size()), crc);
  // Its end is there, beyond it there is nothing, and it is no part of another.
  for (const PullRequest& next :
       {PullRequest{open.region, total}, PullRequest{open.region, total + 4},
        PullRequest{static_cast<uint32_t>(Region::kDelta), 40}}) {
    const bool is_end = next.region == open.region && next.offset == total;
    EXPECT_EQ(device.Ask(RequestKind::kPull, Pack(next)).status(),
              is_end ? DeviceStatus::kOk : DeviceStatus::kBadOffset);
  }
  // A region may change when something else was done.
  device.Ask(RequestKind::kCommit);
  const PullRequest later = {open.region, 40};
  EXPECT_EQ(device.Ask(RequestKind::kPull, Pack(later)).status(), DeviceStatus::kBadOffset);
  const PullRequest names = {static_cast<uint32_t>(Region::kNames), 0};
  EXPECT_EQ(device.Ask(RequestKind::kPull, Pack(names)).status(), DeviceStatus::kNoSuchRegion);
}

TEST(Session, APushCountsWhenItIsWhole) {
  Device device;
  device.Connect();
  Floats factory(kScriptedWeights), learned;
  for (size_t i = 0; i < factory.size(); ++i) factory[i] = static_cast<float>(i) / 8.0f;
  learned = factory;
  for (int i = 100; i < 160; ++i) learned[i] = -1.0f;
  const uint32_t hash[2] = {kScriptedHashLow, kScriptedHashHigh};
  std::vector<uint32_t> delta(200);
  delta.resize(EncodeDelta(DeltaKind::kValues, hash, factory.data(), learned.data(),
                           kScriptedWeights, delta.data(), 200));
  const uint32_t total = static_cast<uint32_t>(4 * delta.size());
  const uint8_t* data = reinterpret_cast<const uint8_t*>(delta.data());
  const uint32_t crc = Crc32(0, data, total);
  const auto part = [&](uint32_t offset, uint32_t bytes, uint32_t sum) {
    const PushRequest words = {static_cast<uint32_t>(Region::kDelta), total, sum, offset};
    return device.Ask(RequestKind::kPush, Pack(words, data + offset, bytes)).status();
  };
  ASSERT_GT(total, 200u);
  EXPECT_EQ(part(0, 200, crc), DeviceStatus::kOk);
  for (uint32_t offset : {100u, 201u}) {
    EXPECT_EQ(part(offset, 50, crc), DeviceStatus::kBadOffset);
    EXPECT_EQ(part(0, 200, crc), DeviceStatus::kOk);
  }
  EXPECT_EQ(part(200, 20, crc + 1), DeviceStatus::kBadOffset);
  EXPECT_EQ(part(0, 200, crc), DeviceStatus::kOk);
  EXPECT_EQ(part(200, 0, crc), DeviceStatus::kBadPayload);
  EXPECT_TRUE(device.handler.log().empty());
  EXPECT_EQ(device.handler.abandoned(), 4u);
  EXPECT_EQ(part(0, 200, crc), DeviceStatus::kOk);
  EXPECT_EQ(part(200, total - 200, crc), DeviceStatus::kOk);
  EXPECT_EQ(device.handler.log().back(), "push " + std::to_string(total));
  EXPECT_EQ(part(200, total - 200, crc), DeviceStatus::kBadOffset);
  // The same again is no delta of these weights any more.
  EXPECT_EQ(part(0, 200, crc), DeviceStatus::kOk);
  EXPECT_EQ(part(200, total - 200, crc), DeviceStatus::kDeltaWrongBase);
  EXPECT_EQ(part(0, 200, crc + 1), DeviceStatus::kOk);
  EXPECT_EQ(part(200, total - 200, crc + 1), DeviceStatus::kPushDamaged);
  EXPECT_EQ(device.handler.abandoned(), 5u);
  EXPECT_EQ(part(0, 200, crc), DeviceStatus::kOk);
  device.Connect(78);
  EXPECT_EQ(device.handler.abandoned(), 6u);
  EXPECT_EQ(part(200, total - 200, crc), DeviceStatus::kBadOffset);
  EXPECT_EQ(part(0, 200, crc), DeviceStatus::kOk);
  device.now_ms += kTransferTimeoutMs;
  device.Send({});  // The request may have taken all that time.
  EXPECT_EQ(device.handler.abandoned(), 6u);
  device.now_ms += kTransferTimeoutMs - 1;
  device.Send({});
  EXPECT_EQ(device.handler.abandoned(), 6u);
  device.now_ms += 1;
  device.Send({});
  EXPECT_EQ(device.handler.abandoned(), 7u);
}

TEST(Session, AHostThatVanishesLeavesNothingBehind) {
  Device device;
  device.Connect();
  const Bytes request = Request(RequestKind::kStep, 77, 1001, Step(0, 3, Floats(6)));
  device.Send({});
  EXPECT_TRUE(device.Send(Bytes(request.begin(), request.end() - 5)).empty());
  device.now_ms += kFrameTimeoutMs - 1;
  EXPECT_TRUE(device.Send({}).empty());
  device.now_ms += 1;
  const Answer notice = device.Only({});
  EXPECT_EQ(notice.header.kind, kAnswerBit);
  EXPECT_EQ(notice.status(), DeviceStatus::kFrameTimedOut);
  EXPECT_TRUE(device.handler.log().empty());
  EXPECT_EQ(device.Ask(RequestKind::kStep, Step(0, 4, Floats(6))).As<StepAnswer>().loss, 4.0f);
  const StatusAnswer status = device.Ask(RequestKind::kStatus).As<StatusAnswer>();
  EXPECT_EQ(status.bad_frames, 1u);
  EXPECT_EQ(status.last_bad_frame, static_cast<uint32_t>(DeviceStatus::kFrameTimedOut));
}

TEST(Session, WhileARequestIsCarriedOutNobodyIsBlamedForAPause) {
  Device device;
  device.Connect();
  Bytes both = Request(RequestKind::kEndEpoch, 77, 1001, {});
  const Bytes next = Request(RequestKind::kStep, 77, 1002, Step(0, 3, Floats(6)));
  both.insert(both.end(), next.begin(), next.begin() + 9);
  device.Send({});
  EXPECT_EQ(device.Send(both).size(), 1u);
  device.now_ms += 5000;  // The epoch's end took so long.
  const Answer answer = device.Only(Bytes(next.begin() + 9, next.end()));
  EXPECT_EQ(answer.As<StepAnswer>().loss, 3.0f);
}

TEST(Session, AnEchoIsNotAnswered) {
  Device device;
  device.Connect();
  const FrameHeader header = {kAnswerBit | 7, 0, 0, 77, 1001};
  EXPECT_TRUE(device.Send(FrameBytes(header, {})).empty());
}

TEST(Session, BuffersThatAreTooSmallHearNothing) {
  uint32_t small[kLeastBufferWords - 1], large[kLeastBufferWords];
  ScriptedHandler handler({1}, 2, 100);
  Collector sink;
  const Bytes hello = Request(RequestKind::kHello, 3, 1, Pack(AnyHello()));
  Session deaf(&handler, &sink, small, kLeastBufferWords - 1, large, kLeastBufferWords);
  EXPECT_FALSE(deaf.is_ready());
  deaf.Receive(hello.data(), hello.size(), 0);
  EXPECT_TRUE(sink.written.empty());
  uint32_t other[kLeastBufferWords];
  Session least(&handler, &sink, other, kLeastBufferWords, large, kLeastBufferWords);
  least.Receive(hello.data(), hello.size(), 0);
  ASSERT_EQ(ReadAll(sink.written).size(), 1u);
  sink.written.clear();
  // 100 scores do not fit.
  const Bytes predict = Request(RequestKind::kPredict, 3, 2, Bytes(8));
  least.Receive(predict.data(), predict.size(), 0);
  ASSERT_EQ(ReadAll(sink.written).size(), 1u);
  EXPECT_EQ(ReadAll(sink.written)[0].status(), DeviceStatus::kAnswerTooLong);
  EXPECT_EQ(ReadAll(sink.written)[0].As<ErrorAnswer>().detail, 400u);
}

// --- the fuzzer

const uint32_t kPoison = 4;  // Label of requests that must never be carried out.

// Sends damaged frames of all sorts to one device, and a good one after each.
class Fuzzer {
 public:
  explicit Fuzzer(uint32_t seed) : random_(seed) { device_.Connect(); }

  void Round() {
    const size_t done = device_.handler.log().size();
    Damage();
    ASSERT_EQ(device_.handler.log().size(), done) << "after damage " << kind_;
    const Floats sample(6, static_cast<float>(random_.Int(-8, 8)));
    const uint32_t label = static_cast<uint32_t>(random_.Int(0, 3));
    const Bytes request =
        Request(RequestKind::kStep, device_.id, device_.sequence + 1, Step(0, label, sample));
    // What damage left on the line may be complained about first.
    const std::vector<Answer> answers = Deliver(request);
    ASSERT_FALSE(answers.empty());
    for (size_t i = 0; i + 1 < answers.size(); ++i) {
      EXPECT_EQ(answers[i].header.kind, kAnswerBit);
      EXPECT_NE(answers[i].status(), DeviceStatus::kOk);
    }
    ++device_.sequence;
    const Answer& answer = answers.back();
    ASSERT_EQ(answer.status(), DeviceStatus::kOk) << "after damage " << kind_;
    EXPECT_EQ(answer.header.sequence, device_.sequence);
    EXPECT_EQ(answer.As<StepAnswer>().loss, 6 * sample[0] + static_cast<float>(label));
    ASSERT_EQ(device_.handler.log().size(), done + 1);
    EXPECT_EQ(device_.handler.log().back(), "step " + std::to_string(label));
    last_ = request;
    last_answer_ = answer.payload;
  }

  const ScriptedHandler& handler() const { return device_.handler; }
  uint32_t bad_frames() { return device_.Ask(RequestKind::kStatus).As<StatusAnswer>().bad_frames; }

 private:
  static constexpr int kKinds = 10;

  Bytes Poison() {
    return Request(RequestKind::kStep, device_.id, device_.sequence + 1,
                   Step(0, kPoison, Floats(6, random_.Float())));
  }

  // In pieces, as a line does.
  std::vector<Answer> Deliver(const Bytes& bytes) {
    std::vector<Answer> all;
    for (size_t at = 0; at < bytes.size();) {
      const size_t piece = std::min<size_t>(bytes.size() - at, random_.Int(1, 40));
      device_.now_ms += random_.Int(0, 5);
      for (const Answer& a : device_.Send(Bytes(bytes.begin() + at, bytes.begin() + at + piece))) {
        all.push_back(a);
      }
      at += piece;
    }
    return all;
  }

  void Damage() {
    kind_ = random_.Int(0, kKinds - 1);
    switch (kind_) {
      case 0:
        return Truncated();
      case 1:
        return Corrupted();
      case 2:
        return Repeated();
      case 3:
        return Oversized();
      case 4:
        return Interleaved();
      case 5:
        return Garbage();
      case 6:
        return Vanished();
      case 7:
        return Misplaced();
      case 8:
        return Nonsense();
      default:
        return LostBytes();
    }
  }

  void Truncated() {
    Bytes bytes = Poison();
    // The zero byte at the end may be lost: the next frame begins with one.
    bytes.resize(random_.Int(2, static_cast<int>(bytes.size()) - 2));
    if (random_.Int(0, 1)) bytes.push_back(0);
    Deliver(bytes);
  }

  void Corrupted() {
    Bytes bytes = Poison();
    std::set<int> bits;
    for (int n = random_.Int(1, 8); n > 0; --n) {
      bits.insert(random_.Int(0, static_cast<int>(8 * bytes.size()) - 1));
    }
    for (int bit : bits) bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    Deliver(bytes);
  }

  void Repeated() {
    if (last_.empty()) return;
    for (int n = random_.Int(1, 5); n > 0; --n) {
      const std::vector<Answer> answers = Deliver(last_);
      ASSERT_EQ(answers.size(), 1u);
      EXPECT_EQ(answers[0].payload, last_answer_);
      EXPECT_EQ(answers[0].status(), DeviceStatus::kOk);
    }
  }

  void Oversized() {
    // A sound frame, but for its size; or bytes without end.
    Bytes bytes = Request(RequestKind::kStep, device_.id, device_.sequence + 1,
                          Bytes(4 * kWords - 15 + random_.Int(0, 3000), 1));
    if (random_.Int(0, 1)) bytes = Bytes(random_.Int(300, 3000), static_cast<uint8_t>(0xff));
    bytes.push_back(0);
    const std::vector<Answer> answers = Deliver(bytes);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].status(), DeviceStatus::kOversized);
    EXPECT_EQ(answers[0].As<ErrorAnswer>().detail, 4 * kWords - 16);
  }

  void Interleaved() {
    const Bytes a = Poison(), b = Poison();
    const int i = random_.Int(2, static_cast<int>(a.size()) - 2);
    int j = random_.Int(2, static_cast<int>(b.size()) - 2);
    // Both begin alike: cut at the same place they could be put together to a sound frame.
    if (j == i) j = i > 2 ? i - 1 : i + 1;
    Bytes bytes(a.begin(), a.begin() + i);
    bytes.insert(bytes.end(), b.begin(), b.begin() + j);
    bytes.insert(bytes.end(), a.begin() + i, a.end());
    bytes.insert(bytes.end(), b.begin() + j, b.end());
    Deliver(bytes);
  }

  void Garbage() {
    Bytes bytes(random_.Int(1, 600));
    const int zeros = random_.Int(0, 2);  // Few, some, many.
    for (uint8_t& byte : bytes) {
      byte = static_cast<uint8_t>(random_.Int(0, zeros == 2 ? 3 : 255));
      if (zeros == 0 && byte == 0) byte = 1;
    }
    Deliver(bytes);
  }

  void Vanished() {
    device_.Send({});
    Bytes bytes = Poison();
    bytes.resize(random_.Int(2, static_cast<int>(bytes.size()) - 2));
    Deliver(bytes);
    device_.now_ms += kFrameTimeoutMs + random_.Int(0, 100000);
    const std::vector<Answer> answers = device_.Send({});
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].status(), DeviceStatus::kFrameTimedOut);
  }

  // Sound frames of another session, or with another number.
  void Misplaced() {
    const uint32_t session = random_.Int(0, 1) ? device_.id : device_.id + random_.Int(1, 9);
    uint32_t sequence = device_.sequence + random_.Int(2, 1000);
    if (random_.Int(0, 1)) sequence = device_.sequence - random_.Int(0, 1000);
    const std::vector<Answer> answers = Deliver(
        Request(RequestKind::kStep, session, sequence, Step(0, kPoison, Floats(6, 0.125f))));
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].status(),
              session == device_.id ? DeviceStatus::kOutOfOrder : DeviceStatus::kNoSession);
  }

  // A sound frame in its place whose content makes no sense, or hardly.
  void Nonsense() {
    Bytes payload(random_.Int(0, 4 * static_cast<int>(kWords) - 16));
    for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random_.Int(0, 3));
    // Not one of those that need no content; a step's label is out of range, or its sample.
    const RequestKind kinds[] = {
        RequestKind::kNotice,   RequestKind::kHello,
        RequestKind::kStatus,   RequestKind::kSample,
        RequestKind::kPull,     RequestKind::kPush,
        RequestKind::kEndEpoch, static_cast<RequestKind>(random_.Int(13, 127))};
    const RequestKind kind = kinds[random_.Int(0, 7)];
    if (kind == RequestKind::kEndEpoch) payload.push_back(1);
    payload.resize(std::min<size_t>(payload.size(), 4 * kWords - 16));
    ++device_.sequence;
    const Bytes request = Request(kind, device_.id, device_.sequence, payload);
    const std::vector<Answer> answers = Deliver(request);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].header.sequence, device_.sequence);
    last_ = request;
    last_answer_ = answers[0].payload;
    // To be repeated only with the status it had.
    if (answers[0].status() != DeviceStatus::kOk) last_.clear();
  }

  void LostBytes() {
    Bytes bytes = Poison();
    for (int n = random_.Int(1, 4); n > 0; --n) {
      // Not the first or the last byte: they matter only together with the frame's neighbours.
      bytes.erase(bytes.begin() + random_.Int(1, static_cast<int>(bytes.size()) - 2));
    }
    Deliver(bytes);
  }

  Random random_;
  Device device_;
  int kind_ = 0;
  Bytes last_;  // The last good request, and its answer.
  Bytes last_answer_;
};

TEST(ProtocolFuzz, AfterAnyDamageTheNextGoodRequestWorks) {
  const int kSeeds = 40, kRounds = 500;
  uint64_t bad = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    Fuzzer fuzzer(static_cast<uint32_t>(seed));
    for (int round = 0; round < kRounds; ++round) {
      fuzzer.Round();
      if (HasFatalFailure()) FAIL() << "seed " << seed << ", round " << round;
    }
    for (const std::string& line : fuzzer.handler().log()) {
      ASSERT_NE(line, "step " + std::to_string(kPoison)) << "seed " << seed;
    }
    bad += fuzzer.bad_frames();
  }
  printf("%d damages, %llu unreadable frames\n", kSeeds * kRounds,
         static_cast<unsigned long long>(bad));
  EXPECT_GT(bad, static_cast<uint64_t>(kSeeds * kRounds / 3));
}

}  // namespace
}  // namespace medyate
