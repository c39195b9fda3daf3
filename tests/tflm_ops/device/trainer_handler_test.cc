// A real trainer at the device's end of the serial protocol, driven by frames: training, weights
// and names that go from one device to another, failures by name, hosts that vanish.

#include "tflm_ops/device/trainer_handler.h"

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/device/line_board.h"
#include "tflm_ops/store/sparse_delta.h"

namespace medyate {
namespace {

using math::SameBits;

// --- statuses

// Names are what a host shows: they must be those of what happened.
TEST(TrainerHandlerTest, StatusesOfTrainerAndStoreKeepTheirNames) {
  const int last = static_cast<int>(TrainerStatus::kNoHeldSamples);
  for (int i = 0; i <= last; ++i) {
    const TrainerStatus status = static_cast<TrainerStatus>(i);
    EXPECT_STREQ(DeviceStatusName(DeviceStatusOf(status, StoreStatus::kOk)),
                 TrainerStatusName(status));
  }
  for (int i = 1; i <= static_cast<int>(StoreStatus::kNotClosed); ++i) {
    const StoreStatus store = static_cast<StoreStatus>(i);
    const std::string name = std::string("kStore") + (StatusName(store) + 1);
    EXPECT_EQ(DeviceStatusName(DeviceStatusOf(store)), name);
    EXPECT_EQ(DeviceStatusName(DeviceStatusOf(TrainerStatus::kCommitFailed, store)), name);
    EXPECT_EQ(DeviceStatusName(DeviceStatusOf(TrainerStatus::kStoreFailed, store)), name);
    EXPECT_EQ(DeviceStatusOf(TrainerStatus::kOpFailed, store), DeviceStatus::kOpFailed);
  }
  for (int i = 1; i <= static_cast<int>(DeltaStatus::kNotFinite); ++i) {
    const std::string name = DeltaStatusName(static_cast<DeltaStatus>(i));
    EXPECT_EQ(DeviceStatusName(static_cast<DeviceStatus>(95 + i)), "kDelta" + name.substr(1));
  }
}

TEST(TrainerHandlerTest, TellsWhatRunsHere) {
  const TestModel model(2);
  MappedFlash flash(model);
  Board board(model, &flash);
  const HelloAnswer info = board.hello.As<HelloAnswer>();
  EXPECT_EQ(info.model_hash[0], model.model().hash[0]);
  EXPECT_EQ(info.sample_rank, 3u);
  EXPECT_EQ(info.sample_dims[0] * info.sample_dims[1] * info.sample_dims[2], 32u);
  EXPECT_EQ(info.classes, 3u);
  EXPECT_EQ(info.factory_classes, 2u);
  EXPECT_EQ(info.outputs, 3u);
  EXPECT_EQ(info.weights_floats, 2 * kPageFloats);
  EXPECT_EQ(info.batch_size, 2u);
  const StatusAnswer status = board.Status();
  EXPECT_EQ(status.named_classes, 2u);
  EXPECT_EQ(status.commits, 1u);
  EXPECT_GT(status.commits_left, 9000u);
  EXPECT_LT(status.commits_left, 10001u);
  EXPECT_EQ(status.arena_bytes, StaticRunner::ArenaBytes(model.model()));
  EXPECT_EQ(status.store_status, 0u);
  EXPECT_EQ(status.is_sound, 1u);
  // Data may leave spare classes out, but not those that the model came with.
  for (uint32_t classes = 0; classes < 5; ++classes) {
    const bool fits = classes == 2 || classes == 3;
    EXPECT_EQ(board.Connect(classes), fits ? DeviceStatus::kOk : DeviceStatus::kOtherClasses);
  }
}

// --- training

void TrainAsWithoutALine(const TestModel& model) {
  MappedFlash flash(model), other_flash(model);
  Board board(model, &flash);
  TestDevice other(model, &other_flash);
  ASSERT_EQ(other.trainer.Begin(), TrainerStatus::kOk);
  for (uint32_t epoch = 0; epoch < 3; ++epoch) {
    for (uint32_t i = 0; i < 7; ++i) {
      float loss = 0, expected = 1;
      ASSERT_EQ(board.Step(Sample(i), i % 3, &loss), DeviceStatus::kOk);
      ASSERT_EQ(other.trainer.Step(Sample(i).data(), static_cast<int>(i % 3), &expected),
                TrainerStatus::kOk);
      EXPECT_EQ(loss, expected);
    }
    ASSERT_EQ(board.Do(RequestKind::kEndEpoch), DeviceStatus::kOk);
    ASSERT_EQ(other.trainer.EndEpoch(), TrainerStatus::kOk);
    EXPECT_TRUE(SameBits(board.Predict(77), other.Predict(77)));
  }
  EXPECT_EQ(board.Pull(Region::kWeights), BytesOf(board.Weights()));
  EXPECT_TRUE(board.device.Describe() == other.Describe());
  const StatusAnswer status = board.Status();
  EXPECT_EQ(status.samples, 21u);
  EXPECT_EQ(status.epochs, 3u);
  EXPECT_EQ(status.commits, 4u);
  EXPECT_EQ(status.dropped_epochs, 0u);
}

TEST(TrainerHandlerTest, TrainsAsWithoutALine) { TrainAsWithoutALine(TestModel()); }

TEST(TrainerHandlerTest, TakesSamplesIn8Bits) {
  TestModel model;
  model.TakeInt8();
  TrainAsWithoutALine(model);
  MappedFlash flash(model);
  Board board(model, &flash);
  const StepRequest words = {0, 1};
  const Floats sample = Sample(0);
  EXPECT_EQ(board.Do(RequestKind::kStep, Pack(words, sample.data(), 4 * sample.size())),
            DeviceStatus::kBadPayload);
}

TEST(TrainerHandlerTest, CommitsAndDiscards) {
  const TestModel model;
  MappedFlash flash(model);
  Board board(model, &flash);
  const Floats before = board.Predict(5);
  for (uint32_t i = 0; i < 4; ++i) ASSERT_EQ(board.Step(Sample(i), 1), DeviceStatus::kOk);
  EXPECT_FALSE(SameBits(board.Predict(5), before));
  EXPECT_EQ(board.Do(RequestKind::kDiscard), DeviceStatus::kOk);
  EXPECT_TRUE(SameBits(board.Predict(5), before));
  EXPECT_EQ(board.Pull(Region::kWeights), BytesOf(model.factory()));
  for (uint32_t i = 0; i < 4; ++i) ASSERT_EQ(board.Step(Sample(i), 1), DeviceStatus::kOk);
  EXPECT_EQ(board.Do(RequestKind::kCommit), DeviceStatus::kOk);
  EXPECT_NE(board.Pull(Region::kWeights), BytesOf(model.factory()));
}

TEST(TrainerHandlerTest, NamesWhatIsWrongWithASample) {
  const TestModel model(2);
  MappedFlash flash(model);
  Board board(model, &flash);
  EXPECT_EQ(board.Step(Floats(32, std::numeric_limits<float>::quiet_NaN()), 0),
            DeviceStatus::kSampleNotFinite);
  for (uint32_t label : {3u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    EXPECT_EQ(board.Step(Sample(0), label), DeviceStatus::kLabelOutOfRange);
  }
  EXPECT_EQ(board.Status().named_classes, 2u);
}

TEST(TrainerHandlerTest, AnEpochThatTheGuardDropsIsSaidToBeDropped) {
  const TestModel model;
  MappedFlash flash(model);
  Board board(model, &flash);
  // Weights of the model times this are infinite.
  EXPECT_EQ(board.Step(Floats(32, 3e38f), 0), DeviceStatus::kLossNotFinite);
  EXPECT_EQ(board.Status().is_sound, 0u);
  EXPECT_EQ(board.Do(RequestKind::kEndEpoch), DeviceStatus::kEpochDiscarded);
  EXPECT_EQ(board.Status().dropped_epochs, 1u);
  EXPECT_EQ(board.Status().is_sound, 1u);
  EXPECT_EQ(board.Pull(Region::kWeights), BytesOf(model.factory()));
}

TEST(TrainerHandlerTest, AHostThatVanishesLeavesTrainingAsItWas) {
  const TestModel model;
  MappedFlash flash(model);
  Board board(model, &flash);
  ASSERT_EQ(board.Step(Sample(1), 1), DeviceStatus::kOk);
  const PartRequest part = {0};
  const Floats half(16, 1e30f);
  ASSERT_EQ(board.Do(RequestKind::kSample, Pack(part, half.data(), 64)), DeviceStatus::kOk);
  const Bytes weights = BytesOf(Floats(model.factory().size(), 2.0f));
  board.Connect();
  ASSERT_EQ(board.PushSome(Region::kWeights, weights, weights.size() / 2), DeviceStatus::kOk);
  board.Connect();
  EXPECT_EQ(board.Status().samples, 1u);
  ASSERT_EQ(board.Step(Sample(2), 2), DeviceStatus::kOk);
  ASSERT_EQ(board.Do(RequestKind::kEndEpoch), DeviceStatus::kOk);

  MappedFlash other_flash(model);
  TestDevice other(model, &other_flash);
  ASSERT_EQ(other.trainer.Begin(), TrainerStatus::kOk);
  for (uint32_t i = 1; i < 3; ++i) {
    other.trainer.Step(Sample(i).data(), static_cast<int>(i), nullptr);
  }
  ASSERT_EQ(other.trainer.EndEpoch(), TrainerStatus::kOk);
  EXPECT_TRUE(board.device.Describe() == other.Describe());
}

// --- regions

// With parts of any size, whole words or not.
TEST(TrainerHandlerTest, WhatOneBoardLearnedAnotherOneGets) {
  const TestModel model(2);
  for (size_t part : {1u, 3u, 7u, 222u, 223u, 224u}) {
    MappedFlash flash(model), other_flash(model);
    Board board(model, &flash), other(model, &other_flash);
    ASSERT_EQ(board.Enrol("hüpfen"), DeviceStatus::kOk);
    board.Train(10);
    other.Train(20);
    const std::string names = board.Names();
    EXPECT_EQ(names, "0\trest\n1\twalk\n2\thüpfen\n");
    ASSERT_EQ(other.Step(Sample(3), 1), DeviceStatus::kOk);  // Lost, but does no harm.
    const Bytes pulled = board.Pull(Region::kWeights);
    Bytes pushed = pulled;
    pushed.insert(pushed.end(), names.begin(), names.end());
    ASSERT_EQ(other.Push(Region::kWeights, pushed, part), DeviceStatus::kOk) << part;
    EXPECT_EQ(other.Pull(Region::kWeights), pulled);
    EXPECT_EQ(other.Names(), names);
    EXPECT_TRUE(SameBits(other.Predict(5), board.Predict(5)));
    EXPECT_EQ(other.Status().samples, 12u) << "its own progress stays";
    EXPECT_EQ(other.Status().commits, 4u) << "weights and names in one commit";
    other.Train(30);  // It goes on.
    const Bytes later = other.Pull(Region::kWeights);
    EXPECT_NE(later, pulled);
    Board again(model, &other_flash);
    EXPECT_EQ(again.began, TrainerStatus::kOk);
    EXPECT_EQ(again.Pull(Region::kWeights), later);
    EXPECT_EQ(again.Names(), names);
    EXPECT_TRUE(other_flash.NeighboursAreUntouched());
  }
}

TEST(TrainerHandlerTest, WeightsWithoutNamesLeaveTheNames) {
  const TestModel model(2);
  MappedFlash flash(model);
  Board board(model, &flash);
  ASSERT_EQ(board.Enrol("jump"), DeviceStatus::kOk);
  const Bytes pulled = board.Pull(Region::kWeights);
  ASSERT_EQ(board.Push(Region::kWeights, pulled), DeviceStatus::kOk);
  EXPECT_EQ(board.Names(), "0\trest\n1\twalk\n2\tjump\n");
  // An empty line is a text without names.
  ASSERT_EQ(board.Push(Region::kWeights, BytesOf(model.factory(), "\n")), DeviceStatus::kOk);
  EXPECT_EQ(board.Names(), "0\trest\n1\twalk\n");
  EXPECT_EQ(board.Predict(1)[2], 0.0f);
}

TEST(TrainerHandlerTest, APushThatMakesNoSenseChangesNothing) {
  const TestModel model(2);
  MappedFlash flash(model);
  Board board(model, &flash);
  const Bytes before = BytesOf(model.factory());
  Bytes weights = BytesOf(Floats(model.factory().size(), 0.5f));
  EXPECT_EQ(board.Push(Region::kWeights, Bytes(weights.begin(), weights.end() - 4)),
            DeviceStatus::kPushOfOtherSize);
  EXPECT_EQ(board.Push(Region::kDelta, weights), DeviceStatus::kNoSuchRegion);
  const PullRequest delta = {static_cast<uint32_t>(Region::kDelta), 0};
  EXPECT_EQ(board.Do(RequestKind::kPull, Pack(delta)), DeviceStatus::kNoSuchRegion);
  for (const char* text : {"2\t\n", "2", "2 jump\n", "x\tjump\n", "\tjump\n", "2\t\xff\xfe\n"}) {
    const Bytes pushed = BytesOf(Floats(model.factory().size(), 0.5f), text);
    const DeviceStatus status = board.Push(Region::kWeights, pushed);
    EXPECT_TRUE(status == DeviceStatus::kBadName || status == DeviceStatus::kLabelOutOfRange)
        << text << ": " << status;
  }
  Floats bad(model.factory().size(), 0.5f);
  bad[1500] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(board.Push(Region::kWeights, BytesOf(bad)), DeviceStatus::kStoreNotFinite);
  // All parts, but another checksum than was announced.
  const PushRequest words = {static_cast<uint32_t>(Region::kNames), 7, 1, 0};
  EXPECT_EQ(board.Do(RequestKind::kPush, Pack(words, "2\tjump\n", 7)), DeviceStatus::kPushDamaged);
  EXPECT_EQ(board.Pull(Region::kWeights), before);
  EXPECT_EQ(board.Names(), "0\trest\n1\twalk\n");
  EXPECT_EQ(board.Status().commits, 1u);
  ASSERT_EQ(board.Push(Region::kWeights, weights), DeviceStatus::kOk);
  EXPECT_EQ(board.Pull(Region::kWeights), weights);
}

TEST(TrainerHandlerTest, NamesAloneEnrolAndMakeSpareAgain) {
  const TestModel model(1);
  MappedFlash flash(model);
  Board board(model, &flash);
  const uint32_t bias = model.head().bias_weights_offset;
  const float mean = board.Weights()[bias];
  ASSERT_EQ(board.PushNames("0\tignored\n1\twalk fast\n2\tjump\n"), DeviceStatus::kOk);
  EXPECT_EQ(board.Names(), "0\trest\n1\twalk fast\n2\tjump\n");
  EXPECT_EQ(board.Status().named_classes, 3u);
  EXPECT_EQ(board.Status().commits, 2u);
  EXPECT_EQ(board.Weights()[bias + 1], mean);
  EXPECT_EQ(board.Weights()[bias + 2], mean);
  EXPECT_GT(board.Predict(1)[2], 0.0f);
  board.Train(40);
  const Floats learned = board.Weights();
  ASSERT_EQ(board.PushNames("1\trun\n"), DeviceStatus::kOk);
  EXPECT_EQ(board.Names(), "0\trest\n1\trun\n");
  EXPECT_EQ(board.Weights()[bias + 1], learned[bias + 1]) << "one that was in use stays";
  EXPECT_EQ(board.Weights()[bias + 2], kSpareBias);
  EXPECT_EQ(board.Predict(1)[2], 0.0f);
  uint32_t label = 0;
  ASSERT_EQ(board.Enrol("jump again", &label), DeviceStatus::kOk);
  EXPECT_EQ(label, 2u);
  ASSERT_EQ(board.PushNames(""), DeviceStatus::kOk);
  EXPECT_EQ(board.Names(), "0\trest\n");
}

TEST(TrainerHandlerTest, NamesAreChecked) {
  const TestModel model(1);
  MappedFlash flash(model);
  Board board(model, &flash);
  const std::string longest(60, 'x');
  EXPECT_EQ(board.PushNames("2\tjump\n"), DeviceStatus::kLabelOutOfRange) << "leaves out 1";
  EXPECT_EQ(board.PushNames("1\ta\n2\tb\n3\tc\n"), DeviceStatus::kLabelOutOfRange);
  EXPECT_EQ(board.PushNames("1\ta\n1\tb\n"), DeviceStatus::kLabelOutOfRange);
  EXPECT_EQ(board.PushNames("9999999999\ta\n"), DeviceStatus::kLabelOutOfRange);
  EXPECT_EQ(board.PushNames("1\ta\n2\ta\n"), DeviceStatus::kNameTaken);
  EXPECT_EQ(board.PushNames("1\trest\n"), DeviceStatus::kNameTaken);
  EXPECT_EQ(board.PushNames("1\t" + longest + "x\n"), DeviceStatus::kBadName);
  EXPECT_EQ(board.PushNames("1\t\n"), DeviceStatus::kBadName);
  EXPECT_EQ(board.PushNames(std::string("1\ta\0b\n", 6)), DeviceStatus::kBadName);
  EXPECT_EQ(board.PushNames("1\ta\tb\n"), DeviceStatus::kBadName);
  EXPECT_EQ(board.PushNames("1\t\x1b[2J\n"), DeviceStatus::kBadName);
  EXPECT_EQ(board.Enrol("a\n2\tevil"), DeviceStatus::kBadName);
  EXPECT_EQ(board.Status().commits, 1u);
  EXPECT_EQ(board.PushNames("1\t" + longest), DeviceStatus::kOk) << "a last line without an end";
  EXPECT_EQ(board.Names(), "0\trest\n1\t" + longest + "\n");
}

// --- new classes

TEST(TrainerHandlerTest, EnrolsByNameOrByTheFirstSample) {
  const TestModel model(1);
  MappedFlash flash(model);
  {
    Board board(model, &flash);
    uint32_t label = 0;
    ASSERT_EQ(board.Enrol("walk", &label), DeviceStatus::kOk);
    EXPECT_EQ(label, 1u);
    EXPECT_EQ(board.Enrol("rest"), DeviceStatus::kNameTaken);
    EXPECT_EQ(board.Enrol("\xff"), DeviceStatus::kBadName);
    EXPECT_EQ(board.Status().named_classes, 2u);
  }
  Board board(model, &flash);
  ASSERT_EQ(board.Step(Sample(1), 2), DeviceStatus::kOk);
  EXPECT_EQ(board.Names(), "0\trest\n1\twalk\n2\tclass 2\n");
  EXPECT_EQ(board.Enrol("one more"), DeviceStatus::kNoSpareClass);
}

TEST(TrainerHandlerTest, ResetsOrSaysThatItCannot) {
  TestModel model(2);
  for (bool has_copy : {true, false}) {
    MappedFlash flash(model);
    const std::vector<float> copy = model.factory();
    model.mutable_model()->factory = has_copy ? copy.data() : nullptr;
    Board board(model, &flash);
    ASSERT_EQ(board.Enrol("jump"), DeviceStatus::kOk);
    board.Train(50);
    EXPECT_EQ(board.Do(RequestKind::kReset),
              has_copy ? DeviceStatus::kOk : DeviceStatus::kNoFactoryCopy);
    if (!has_copy) {  // What a host does then.
      ASSERT_EQ(board.Push(Region::kWeights, BytesOf(copy, "\n")), DeviceStatus::kOk);
    }
    EXPECT_EQ(board.Pull(Region::kWeights), BytesOf(copy));
    EXPECT_EQ(board.Names(), "0\trest\n1\twalk\n");
    model.mutable_model()->factory = nullptr;
  }
}

// --- the gate

struct Surroundings {
  bool is_present = false;
  uint32_t now_ms = 0xffffff00u;
};

TEST(TrainerHandlerTest, PushResetAndEnrolmentMayNeedSomebodyAtTheBoard) {
  const TestModel model(1);
  MappedFlash flash(model);
  Board board(model, &flash);
  Surroundings around;
  const auto is_present = [](void* user) { return static_cast<Surroundings*>(user)->is_present; };
  board.handler().SetGate({is_present, nullptr, 0, &around});
  const Bytes weights = BytesOf(model.factory());
  const auto expect = [&](DeviceStatus status) {
    EXPECT_EQ(board.Enrol("jump"), status);
    EXPECT_EQ(board.PushNames("1\tturn\n"), status);
    EXPECT_EQ(board.Do(RequestKind::kReset), status);
    EXPECT_EQ(board.Step(Sample(1), 1), status) << "a new class by its first sample";
    EXPECT_EQ(board.Push(Region::kWeights, weights), status);
  };
  expect(DeviceStatus::kNeedsPresence);
  EXPECT_EQ(board.Status().commits, 1u);
  EXPECT_EQ(board.Status().named_classes, 1u);
  EXPECT_EQ(board.Step(Sample(1), 0), DeviceStatus::kOk) << "training needs nobody";
  EXPECT_EQ(board.Do(RequestKind::kEndEpoch), DeviceStatus::kOk);
  around.is_present = true;
  expect(DeviceStatus::kOk);
}

TEST(TrainerHandlerTest, FlashMayBeWrittenOnlySoOften) {
  const TestModel model(2);
  MappedFlash flash(model);
  Board board(model, &flash);
  Surroundings around;
  const auto now_ms = [](void* user) { return static_cast<Surroundings*>(user)->now_ms; };
  board.handler().SetGate({nullptr, now_ms, 1000, &around});
  EXPECT_EQ(board.Do(RequestKind::kCommit), DeviceStatus::kOk);
  for (uint32_t wait : {0u, 999u}) {  // The clock wraps around meanwhile.
    around.now_ms += wait;
    const uint32_t commits = board.Status().commits;
    for (RequestKind kind : {RequestKind::kCommit, RequestKind::kEndEpoch, RequestKind::kReset}) {
      EXPECT_EQ(board.Do(kind), DeviceStatus::kTooSoon);
    }
    EXPECT_EQ(board.Enrol("jump"), DeviceStatus::kTooSoon);
    EXPECT_EQ(board.Push(Region::kWeights, BytesOf(model.factory())), DeviceStatus::kTooSoon);
    EXPECT_EQ(board.Status().commits, commits);
  }
  around.now_ms += 1;
  EXPECT_EQ(board.Enrol("jump"), DeviceStatus::kOk);
  EXPECT_EQ(board.Do(RequestKind::kEndEpoch), DeviceStatus::kTooSoon);
  around.now_ms += 1000;
  EXPECT_EQ(board.Do(RequestKind::kEndEpoch), DeviceStatus::kOk);
}

// --- failures

TEST(TrainerHandlerTest, AFailingStoreIsReportedByName) {
  const TestModel model(2);
  MappedFlash flash(model);
  Board board(model, &flash);
  for (uint32_t i = 0; i < MappedFlash::kJournalPages; ++i) {
    flash.fake.FailWrite(MappedFlash::kJournalPage + i, true);
  }
  for (uint32_t i = 0; i < 4; ++i) ASSERT_EQ(board.Step(Sample(i), 1), DeviceStatus::kOk);
  const Floats learned = board.Predict(9);
  EXPECT_EQ(board.Do(RequestKind::kEndEpoch), DeviceStatus::kStoreJournalFailed);
  EXPECT_EQ(board.Status().store_status, static_cast<uint32_t>(DeviceStatus::kStoreJournalFailed));
  EXPECT_EQ(board.Enrol("jump"), DeviceStatus::kStoreJournalFailed);
  EXPECT_EQ(board.Push(Region::kWeights, BytesOf(model.factory())),
            DeviceStatus::kStoreJournalFailed);
  EXPECT_TRUE(SameBits(board.Predict(9), learned)) << "it goes on in RAM";
  for (uint32_t i = 0; i < MappedFlash::kJournalPages; ++i) {
    flash.fake.FailWrite(MappedFlash::kJournalPage + i, false);
  }
  EXPECT_EQ(board.Do(RequestKind::kEndEpoch), DeviceStatus::kOk);
  EXPECT_EQ(board.Status().store_status, 0u);
}

TEST(TrainerHandlerTest, AFailingWeightPageInAPushIsReportedByName) {
  const TestModel model;
  MappedFlash flash(model);
  Board board(model, &flash);
  flash.fake.FailErase(MappedFlash::kWeightsPage, true);
  const Bytes weights = BytesOf(Floats(model.factory().size(), 0.5f));
  EXPECT_EQ(board.Push(Region::kWeights, weights), DeviceStatus::kStoreWeightsFailed);
  EXPECT_EQ(board.Step(Sample(1), 1), DeviceStatus::kNotInitialized) << "its weights are damaged";
  flash.fake.FailErase(MappedFlash::kWeightsPage, false);
  Board again(model, &flash);
  EXPECT_EQ(again.began, TrainerStatus::kOk);
  EXPECT_EQ(again.Pull(Region::kWeights), weights);
}

TEST(TrainerHandlerTest, ABoardThatForgetsSaysSo) {
  const TestModel model(2);
  Board board(model, nullptr);
  EXPECT_EQ(board.Step(Sample(1), 1), DeviceStatus::kOk);
  EXPECT_EQ(board.Do(RequestKind::kCommit), DeviceStatus::kNothingToCommitTo);
  EXPECT_EQ(board.Enrol("jump"), DeviceStatus::kNothingToCommitTo);
  EXPECT_EQ(board.Push(Region::kWeights, BytesOf(model.factory())), DeviceStatus::kStoreNotOpen);
  EXPECT_EQ(board.PushNames("2\tjump\n"), DeviceStatus::kStoreNotOpen);
  const StatusAnswer status = board.Status();
  EXPECT_EQ(status.commits, 0u);
  EXPECT_EQ(status.commits_left, kAny);
  EXPECT_EQ(status.store_status, static_cast<uint32_t>(DeviceStatus::kStoreNotOpen));
  EXPECT_EQ(board.Pull(Region::kWeights), BytesOf(model.factory()));
}

TEST(TrainerHandlerTest, ATrainerThatDidNotBeginAnswersAllTheSame) {
  const TestModel model;
  MappedFlash flash(model);
  Board board(model, &flash, false);
  EXPECT_EQ(board.hello.status(), DeviceStatus::kOk);
  EXPECT_EQ(board.Step(Sample(1), 1), DeviceStatus::kNotInitialized);
  EXPECT_EQ(board.Do(RequestKind::kEndEpoch), DeviceStatus::kNotInitialized);
  EXPECT_EQ(board.Push(Region::kWeights, BytesOf(model.factory())), DeviceStatus::kStoreNotOpen);
  EXPECT_EQ(board.Status().draw, -1);
}

// The power goes during a push: the next start finds the old weights and names or the new ones.
TEST(TrainerHandlerTest, APushThatIsCutOffIsOldOrNew) {
  const TestModel model(2);
  const Floats fresh(model.factory().size(), 0.25f);
  const Bytes pushed = BytesOf(fresh, "2\tjump\n");
  int old = 0, is_new = 0;
  for (uint64_t at = 0; at < 4400; at += 37) {
    MappedFlash flash(model);
    flash.fake.Reseed(static_cast<uint32_t>(at));
    {
      Board board(model, &flash);
      flash.fake.CutAt(at);
      board.Push(Region::kWeights, pushed);
    }
    const bool was_cut = flash.fake.is_cut();
    flash.fake.Restart();
    Board board(model, &flash);
    ASSERT_EQ(board.began, TrainerStatus::kOk);
    const bool got_new = board.Pull(Region::kWeights) == BytesOf(fresh);
    if (!got_new) {
      EXPECT_EQ(board.Pull(Region::kWeights), BytesOf(model.factory()));
    }
    EXPECT_EQ(board.Names(), got_new ? "0\trest\n1\twalk\n2\tjump\n" : "0\trest\n1\twalk\n");
    EXPECT_TRUE(got_new || was_cut);
    ++(got_new ? is_new : old);
  }
  EXPECT_GT(old, 20);
  EXPECT_GT(is_new, 20);
}

}  // namespace
}  // namespace medyate
