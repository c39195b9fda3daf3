// The trainer as firmware uses it: weights in flash, restarts, the guard, new classes. Power cuts
// and failing flash are in trainer_cuts_test.cc.

#include "tflm_ops/trainer/trainer.h"

#include <stdio.h>

#include <cmath>
#include <limits>
#include <set>

#include "tests/tflm_ops/trainer/trainer_world.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace {

using math::SameBits;
using Status = TrainerStatus;

const float kNan = std::numeric_limits<float>::quiet_NaN();

// --- training and restarts

TEST(Trainer, NothingWorksBeforeBegin) {
  const TestModel model;
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  Trainer& trainer = device.trainer;
  const std::vector<float> sample = Sample(0);
  float loss;
  int label;
  EXPECT_FALSE(trainer.is_ready());
  EXPECT_EQ(trainer.Step(sample.data(), 0, &loss), Status::kNotInitialized);
  EXPECT_EQ(trainer.Step(sample.data(), sample.data(), &loss), Status::kNotInitialized);
  EXPECT_EQ(trainer.Hold(sample.data(), 0), Status::kNotInitialized);
  EXPECT_EQ(trainer.Hold(sample.data(), sample.data()), Status::kNotInitialized);
  EXPECT_EQ(trainer.Predict(sample.data(), &loss), Status::kNotInitialized);
  EXPECT_EQ(trainer.EndEpoch(), Status::kNotInitialized);
  EXPECT_EQ(trainer.Commit(), Status::kNotInitialized);
  EXPECT_EQ(trainer.Discard(), Status::kNotInitialized);
  EXPECT_EQ(trainer.Enrol("new", &label), Status::kNotInitialized);
  EXPECT_EQ(trainer.SetGuard({}), Status::kNotInitialized);
  EXPECT_EQ(trainer.Reset(), Status::kNotInitialized);
  EXPECT_EQ(trainer.sample(), nullptr);
  EXPECT_EQ(trainer.classes(), 0);
  EXPECT_EQ(flash.fake.operations(), 0u);
  printf("sizeof(Trainer) is %u bytes here, %u of them the flash page\n",
         static_cast<unsigned>(sizeof(Trainer)), static_cast<unsigned>(kPageBytes));
}

// Guard and held samples look on; they change no bit.
TEST(Trainer, TrainsAsTheStepTrainerOverRamBitForBit) {
  const TestModel model;
  MappedFlash flash(model);
  TestDevice device(model, &flash), plain(model, nullptr);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  std::vector<uint32_t> memory(5 * ValidationRing::EntryWords(kInputs, 1));
  const float kAnything = 1e30f;
  ASSERT_EQ(device.trainer.SetGuard({memory.data(), 5 * 35, 0, kAnything}), Status::kOk);
  std::vector<float> weights(model.model().weights_floats);
  RamSink sink(model.model(), weights.data(), model.model().weights_floats);
  std::vector<uint8_t> arena(StaticRunner::ArenaBytes(model.model()) + 16);
  void* begin = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(arena.data()) + 15) / 16 * 16);
  StepTrainer step;
  ASSERT_EQ(step.Init(model.model(), begin, arena.size() - 16, &sink), Status::kOk);
  for (uint32_t epoch = 0; epoch < 8; ++epoch) {
    for (uint32_t i = 0; i < 5; ++i) {
      const uint32_t seed = 10 * epoch + i;
      float loss, wanted;
      ASSERT_EQ(device.Step(seed, &loss), Status::kOk);
      ASSERT_EQ(step.Step(Sample(seed).data(), device.Label(seed), &wanted), Status::kOk);
      ASSERT_EQ(loss, wanted);
      ASSERT_EQ(device.trainer.Hold(Sample(seed + 700).data(), 0), Status::kOk);
    }
    ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
    ASSERT_EQ(step.EndEpoch(), Status::kOk);
    EXPECT_TRUE(SameBits(weights, flash.mapped()));
    EXPECT_EQ(device.trainer.step().samples(), step.samples());
    EXPECT_EQ(device.trainer.step().updates(), step.updates());
    EXPECT_EQ(device.trainer.step().draw(), step.draw());
  }
  EXPECT_FALSE(SameBits(weights, model.factory()));
}

TEST(Trainer, ARestartGoesOnWhereTheLastEpochEnded) {
  TestModel model;
  model.ForgetMomentum();
  MappedFlash flash(model), other_flash(model);
  TestDevice through(model, &flash);
  ASSERT_EQ(through.trainer.Begin(), Status::kOk);
  for (uint32_t epoch = 0; epoch < 6; ++epoch) {
    TestDevice restarted(model, &other_flash);
    ASSERT_EQ(restarted.trainer.Begin(), Status::kOk);
    EXPECT_TRUE(through.Describe() == restarted.Describe()) << epoch;
    EXPECT_TRUE(SameBits(through.Steps(9 * epoch, 5), restarted.Steps(9 * epoch, 5)));
    ASSERT_EQ(through.trainer.EndEpoch(), Status::kOk);
    ASSERT_EQ(restarted.trainer.EndEpoch(), Status::kOk);
    restarted.Steps(500, 3);  // Forgotten, since no epoch ends.
  }
  EXPECT_EQ(through.trainer.step().epochs(), 6u);
  EXPECT_EQ(through.trainer.step().draw(), 6);
  EXPECT_TRUE(SameBits(flash.mapped(), other_flash.mapped()));
}

TEST(Trainer, ACommitInTheMiddleOfAnEpochIsGoneOnFrom) {
  const TestModel model;
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  device.Steps(0, 5);
  ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
  device.Steps(5, 4);
  ASSERT_EQ(device.trainer.Commit(), Status::kOk);
  const Traits committed = device.Describe();
  device.Steps(9, 2);

  TestDevice restarted(model, &flash);
  ASSERT_EQ(restarted.trainer.Begin(), Status::kOk);
  const Traits found = restarted.Describe();
  EXPECT_TRUE(SameBits(found.weights, committed.weights));
  EXPECT_TRUE(SameBits(found.scores, committed.scores));
  EXPECT_TRUE(SameBits(found.importance, committed.importance));
  EXPECT_EQ(found.progress, (std::vector<uint32_t>{9, 5, 1, 1}));
  // The draw in force is done again, from the importances of now: other channels than those that
  // the epoch began with, the same ones at every start.
  EXPECT_NE(found.selection, committed.selection);
  TestDevice again(model, &flash);
  ASSERT_EQ(again.trainer.Begin(), Status::kOk);
  EXPECT_TRUE(again.Describe() == found);
  restarted.Steps(9, 2);
  EXPECT_EQ(restarted.trainer.EndEpoch(), Status::kOk);
  EXPECT_EQ(restarted.trainer.step().draw(), 2);
}

TEST(Trainer, DiscardGoesBackToTheLastCommit) {
  const TestModel model;
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  device.Steps(0, 4);
  ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
  const std::vector<float> scores = device.Predict(77);
  device.Steps(4, 3);
  EXPECT_FALSE(SameBits(scores, device.Predict(77)));
  ASSERT_EQ(device.trainer.Discard(), Status::kOk);
  EXPECT_TRUE(SameBits(scores, device.Predict(77)));
}

TEST(Trainer, BeginStartsAnewFromTheLastCommit) {
  const TestModel model;
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  device.trainer.SetSchedule(ConstantRate(0.125f));
  std::vector<float> memory(2 * 35);
  ASSERT_EQ(device.trainer.SetGuard({reinterpret_cast<uint32_t*>(memory.data()), 70, 0, 1e30f}),
            Status::kOk);
  ASSERT_EQ(device.trainer.Hold(Sample(3).data(), 0), Status::kOk);
  device.Steps(0, 4);
  ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
  const Traits committed = device.Describe();
  const std::vector<float> once = device.Steps(50, 3);
  EXPECT_EQ(device.trainer.held(), 1u);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  EXPECT_EQ(device.trainer.held(), 0u);
  EXPECT_TRUE(device.Describe() == committed);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  // The same batches at the same rate, but for the velocities.
  const std::vector<float> again = device.Steps(50, 3);
  EXPECT_TRUE(SameBits({once[0], once[1]}, {again[0], again[1]}));
  device.trainer.SetSchedule(ConstantRate(0.0f));
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  const std::vector<float> scores = device.Predict(1);
  device.Steps(60, 4);
  EXPECT_TRUE(SameBits(scores, device.Predict(1))) << "the rate of 0 was forgotten";
}

TEST(Trainer, WithoutFlashItLearnsAndForgets) {
  const TestModel model(2);
  TestDevice device(model, nullptr);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  const std::vector<float> scores = device.Predict(1);
  EXPECT_EQ(device.trainer.weights(), model.model().weights);
  device.Steps(0, 4);
  const std::vector<float> learned = device.Predict(1);
  EXPECT_FALSE(SameBits(scores, learned));
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kNothingToCommitTo);
  EXPECT_EQ(device.trainer.Commit(), Status::kNothingToCommitTo);
  EXPECT_TRUE(SameBits(learned, device.Predict(1)));
  EXPECT_EQ(device.trainer.Enrol("new", nullptr), Status::kNothingToCommitTo);
  EXPECT_EQ(device.trainer.Step(Sample(1).data(), 2, nullptr), Status::kNothingToCommitTo);
  EXPECT_EQ(device.trainer.sink().CommitsLeft(), 0u);
  EXPECT_EQ(device.trainer.Reset(), Status::kOk);
  EXPECT_TRUE(SameBits(scores, device.Predict(1)));
}

TEST(Trainer, AFlashOfOtherPagesIsNotUsed) {
  const TestModel model;
  FakeFlash flash(512, 200, 1);
  TestDevice device(model, FlashPlace{&flash, 512, 100 * 512, 32, nullptr, 0, 0});
  EXPECT_EQ(device.trainer.Begin(), Status::kStoreFailed);
  EXPECT_EQ(device.trainer.store_status(), StoreStatus::kBadConfig);
  ASSERT_TRUE(device.trainer.is_ready());
  device.Steps(0, 4);
  const std::vector<float> scores = device.Predict(1);
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kCommitFailed);
  EXPECT_EQ(device.trainer.store_status(), StoreStatus::kBadConfig);
  EXPECT_TRUE(SameBits(scores, device.Predict(1)));
  EXPECT_EQ(device.trainer.Reset(), Status::kStoreFailed);
  EXPECT_EQ(flash.operations(), 0u);
}

TEST(Trainer, AnArenaThatIsTooSmallIsNamed) {
  const TestModel model;
  MappedFlash flash(model);
  alignas(16) static uint8_t arena[64];
  Trainer trainer(model.model(), arena, sizeof(arena), flash.Place());
  EXPECT_EQ(trainer.Begin(), Status::kArenaTooSmall);
  EXPECT_FALSE(trainer.is_ready());
  float loss;
  EXPECT_EQ(trainer.Step(Sample(0).data(), 0, &loss), Status::kArenaTooSmall);
}

// Importance has pages of its own: names and other records cannot crowd it out.
TEST(Trainer, ImportanceNeedsNoRoomBesideRecords) {
  const TestModel model;
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  device.Steps(0, 4);
  ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
  std::vector<float> importance(6);
  EXPECT_TRUE(device.trainer.sink().ReadImportance(importance.data(), 6));
  EXPECT_FALSE(device.trainer.sink().ReadImportance(importance.data(), 5));
  // The largest record that there is room for.
  const std::vector<uint8_t> filler(4096, 1);
  FlashSink& sink = device.trainer.sink();
  uint32_t bytes = 3800;
  for (; bytes > 0; bytes -= 4) {
    const RecordChange record = {"filler", filler.data(), bytes};
    if (sink.Change({nullptr, nullptr, 0, &record, 1, nullptr}) == StoreStatus::kOk) {
      break;
    }
    ASSERT_EQ(sink.status(), StoreStatus::kHeadFull);
    ASSERT_FALSE(sink.counts());
  }
  ASSERT_GT(bytes, 3000u);
  device.Steps(4, 4);
  ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
  TestDevice restarted(model, &flash);
  ASSERT_EQ(restarted.trainer.Begin(), Status::kOk);
  EXPECT_TRUE(restarted.Describe() == device.Describe());
}

TEST(Trainer, ImportanceThatCannotBeUsedGivesWayToThePrior) {
  const TestModel model;
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  const std::vector<float> prior = device.Tensor(model.model().importance);
  device.Steps(0, 4);
  ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
  const float bad[] = {1, 1, kNan, 1, 1, 1};
  const Bulk bulk = {bad, 6};
  ASSERT_EQ(device.trainer.sink().Change({nullptr, nullptr, 0, nullptr, 0, &bulk}),
            StoreStatus::kOk);
  TestDevice restarted(model, &flash);
  ASSERT_EQ(restarted.trainer.Begin(), Status::kOk);
  EXPECT_TRUE(SameBits(prior, restarted.Tensor(model.model().importance)));
  EXPECT_EQ(restarted.trainer.step().epochs(), 1u);
  EXPECT_EQ(restarted.trainer.step().draw(), 1);
  EXPECT_EQ(restarted.TakeReports(),
            "importance: expected that of the last commit, found none; draws go by the prior\n");
}

TEST(Trainer, ProgressThatIsNoneBeginsAnew) {
  const TestModel model;
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  const Progress bad = {8, 4, 2, -7};
  const RecordChange record = {"progress", &bad, sizeof(bad)};
  ASSERT_EQ(device.trainer.sink().Change({nullptr, nullptr, 0, &record, 1, nullptr}),
            StoreStatus::kOk);
  EXPECT_EQ(device.trainer.Begin(), Status::kBadProgress);
  EXPECT_TRUE(device.trainer.is_ready());
  EXPECT_EQ(device.trainer.step().epochs(), 0u);
  device.Steps(0, 4);
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kOk);
  EXPECT_EQ(device.trainer.Begin(), Status::kOk);
  EXPECT_EQ(device.trainer.step().epochs(), 1u);
}

TEST(Trainer, CommitsLeftGoesByTheLimit) {
  const TestModel model;
  MappedFlash flash(model);
  FlashPlace place = flash.Place();
  place.cycle_limit = 40;
  TestDevice device(model, place);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  uint32_t left = device.trainer.sink().CommitsLeft(), commits = 0;
  EXPECT_LE(left, 40u);
  for (Status status = Status::kOk; status == Status::kOk && commits < 100; ++commits) {
    device.Steps(commits, 2);
    status = device.trainer.EndEpoch();
    if (status != Status::kOk) break;
    EXPECT_GT(left, 0u) << "it promised too much";
    EXPECT_LE(device.trainer.sink().CommitsLeft(), left);
    left = device.trainer.sink().CommitsLeft();
  }
  EXPECT_EQ(commits, 40u);
  EXPECT_EQ(left, 0u);
  EXPECT_EQ(device.trainer.store_status(), StoreStatus::kWornOut);
  EXPECT_TRUE(device.trainer.is_ready());
  device.Steps(0, 4);
}

TEST(Trainer, AModelOfTargetsLearnsIsJudgedAndGoesOn) {
  TestModel model;
  model.LearnTargets();
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  Trainer& trainer = device.trainer;
  ASSERT_EQ(trainer.Begin(), Status::kOk);
  std::vector<uint32_t> memory(2 * ValidationRing::EntryWords(kInputs, kOutputs));
  ASSERT_EQ(trainer.SetGuard({memory.data(), static_cast<uint32_t>(memory.size()), 0, 0.0f}),
            Status::kOk);
  const std::vector<float> sample = Sample(1), good = {1, -1, 0.5f}, bad = {-9, 9, -9};
  EXPECT_EQ(trainer.Step(sample.data(), 0, nullptr), Status::kLabelOfOtherKind);
  EXPECT_EQ(trainer.Hold(sample.data(), 0), Status::kLabelOfOtherKind);
  EXPECT_EQ(trainer.Enrol("new", nullptr), Status::kLabelOfOtherKind);
  EXPECT_EQ(trainer.Hold(sample.data(), std::vector<float>{1, kNan, 1}.data()),
            Status::kTargetNotFinite);
  EXPECT_EQ(trainer.classes(), 0);
  ASSERT_EQ(trainer.Hold(sample.data(), good.data()), Status::kOk);
  float first = 0.0f, last = 0.0f;
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(trainer.Step(sample.data(), good.data(), i == 0 ? &first : &last), Status::kOk);
  }
  EXPECT_LT(last, first);
  ASSERT_EQ(trainer.EndEpoch(), Status::kOk);
  const std::vector<float> weights = flash.mapped();
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(trainer.Step(sample.data(), bad.data(), nullptr), Status::kOk);
  }
  EXPECT_EQ(trainer.EndEpoch(), Status::kEpochDiscarded);
  EXPECT_TRUE(SameBits(weights, flash.mapped()));
  const std::vector<float> outputs = device.Predict(1);
  TestDevice restarted(model, &flash);
  ASSERT_EQ(restarted.trainer.Begin(), Status::kOk);
  EXPECT_TRUE(SameBits(outputs, restarted.Predict(1)));
}

// --- the guard

class TrainerGuard : public ::testing::Test {
 protected:
  TrainerGuard() : flash_(model_), device_(model_, &flash_), trainer_(device_.trainer) {
    EXPECT_EQ(trainer_.Begin(), Status::kOk);
  }

  Status SetGuard(uint32_t samples, uint32_t hold_every, float slack) {
    memory_.assign(samples * ValidationRing::EntryWords(kInputs, 1), 0x7fc00000u);
    const uint32_t words = static_cast<uint32_t>(memory_.size());
    return trainer_.SetGuard({words > 0 ? memory_.data() : nullptr, words, hold_every, slack});
  }

  // All samples are of this class, they say.
  void Teach(uint32_t steps, int label) {
    for (uint32_t i = 0; i < steps; ++i) {
      ASSERT_EQ(trainer_.Step(Sample(i).data(), label, nullptr), Status::kOk);
    }
  }

  void HoldSome(uint32_t first, uint32_t samples, int label) {
    for (uint32_t i = 0; i < samples; ++i) {
      ASSERT_EQ(trainer_.Hold(Sample(first + i).data(), label), Status::kOk);
    }
  }

  const TestModel model_;
  MappedFlash flash_;
  TestDevice device_;
  Trainer& trainer_;
  std::vector<uint32_t> memory_;
};

TEST_F(TrainerGuard, KeepsAnEpochThatHelpsAndDropsOneThatDoesHarm) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  HoldSome(300, 4, 1);
  Teach(6, 1);
  const std::vector<float> learned = device_.Predict(5);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
  EXPECT_FALSE(SameBits(flash_.mapped(), model_.factory()));
  EXPECT_EQ(device_.TakeReports(), "");

  const std::vector<float> weights = flash_.mapped(), scores = device_.Predict(5);
  const uint64_t operations = flash_.fake.operations();
  Teach(6, 2);
  EXPECT_FALSE(SameBits(scores, device_.Predict(5)));
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded);
  EXPECT_EQ(device_.TakeReports(),
            "guard: the loss of the held samples rose; the epoch is dropped\n");
  EXPECT_TRUE(SameBits(weights, flash_.mapped()));
  EXPECT_TRUE(SameBits(scores, device_.Predict(5)));
  EXPECT_EQ(flash_.fake.operations(), operations) << "flash is not touched";
  EXPECT_EQ(trainer_.step().epochs(), 2u);
  EXPECT_EQ(trainer_.step().draw(), 2);
  EXPECT_EQ(trainer_.step().samples(), 12u);

  // And on: the base to compare with is that of the last commit.
  Teach(6, 1);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
  EXPECT_FALSE(SameBits(weights, flash_.mapped()));
}

TEST_F(TrainerGuard, DropsAnEpochWithAnAbsurdLearningRate) {
  ASSERT_EQ(SetGuard(6, 0, 0.5f), Status::kOk);
  HoldSome(300, 2, 0);
  HoldSome(302, 2, 1);
  HoldSome(304, 2, 2);
  trainer_.SetSchedule(ConstantRate(300.0f));
  device_.Steps(0, 8);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded);
  EXPECT_TRUE(SameBits(flash_.mapped(), model_.factory()));
}

// Losses and weights are what an epoch is judged by. One whose last update leaves finite weights
// that make an output overflow is committed, unless held samples tell.
TEST(Trainer, AnEpochOfFiniteWeightsCountsThoughOutputsOverflow) {
  for (const bool has_guard : {false, true}) {
    const TestModel model;
    MappedFlash flash(model);
    TestDevice device(model, &flash);
    ASSERT_EQ(device.trainer.Begin(), Status::kOk);
    uint32_t memory[35];
    if (has_guard) {
      ASSERT_EQ(device.trainer.SetGuard({memory, 35, 0, 0.5f}), Status::kOk);
      ASSERT_EQ(device.trainer.Hold(Sample(300).data(), 0), Status::kOk);
    }
    device.trainer.SetSchedule(ConstantRate(1e30f));
    device.Steps(0, 2);  // A batch.
    ASSERT_TRUE(device.trainer.step().is_sound());
    std::vector<float> scores(kOutputs);
    device.trainer.Predict(Sample(5).data(), scores.data());
    EXPECT_FALSE(math::IsFinite(scores[0] + scores[1] + scores[2])) << scores[0];
    EXPECT_EQ(device.trainer.EndEpoch(), has_guard ? Status::kEpochDiscarded : Status::kOk);
    EXPECT_EQ(SameBits(flash.mapped(), model.factory()), has_guard);
    for (float weight : flash.mapped()) ASSERT_TRUE(math::IsFinite(weight));
  }
}

TEST_F(TrainerGuard, SlackAllowsForSomeHarm) {
  ASSERT_EQ(SetGuard(4, 0, 100.0f), Status::kOk);
  HoldSome(300, 4, 1);
  Teach(6, 2);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
}

TEST_F(TrainerGuard, AnEpochThatChangesNothingIsKept) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  HoldSome(300, 4, 1);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
}

TEST_F(TrainerGuard, WithoutHeldSamplesNothingIsJudged) {
  ASSERT_EQ(SetGuard(0, 0, 0.0f), Status::kOk);
  EXPECT_EQ(trainer_.Hold(Sample(0).data(), 0), Status::kNoHeldSamples);
  EXPECT_EQ(SetGuard(0, 4, 0.0f), Status::kNoHeldSamples);
  uint32_t word;
  EXPECT_EQ(trainer_.SetGuard({&word, 1, 0, 0.0f}), Status::kNoHeldSamples);
  Teach(6, 2);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
}

TEST_F(TrainerGuard, HeldSamplesAreNotLearnedFrom) {
  TestModel other_model;
  MappedFlash other_flash(other_model);
  TestDevice other(other_model, &other_flash);
  ASSERT_EQ(other.trainer.Begin(), Status::kOk);
  ASSERT_EQ(SetGuard(2, 3, 1e30f), Status::kOk);
  for (uint32_t i = 0; i < 12; ++i) {
    float loss, wanted;
    ASSERT_EQ(device_.Step(i, &loss), Status::kOk);
    if (i % 3 == 2) {
      const std::vector<float> scores = other.Predict(i);
      EXPECT_NEAR(loss, -std::log(scores[i % kOutputs]), 1e-5f) << "of a sample that is held";
      continue;
    }
    ASSERT_EQ(other.Step(i, &wanted), Status::kOk);
    EXPECT_EQ(loss, wanted);
  }
  EXPECT_EQ(trainer_.step().samples(), 8u);
  EXPECT_EQ(trainer_.held(), 2u) << "the newest drive out the oldest";
  ASSERT_EQ(trainer_.EndEpoch(), Status::kOk);
  ASSERT_EQ(other.trainer.EndEpoch(), Status::kOk);
  EXPECT_TRUE(device_.Describe() == other.Describe());
}

TEST_F(TrainerGuard, ASampleHeldBackInTheMiddleJudgesFromTheNextEpochOn) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  Teach(2, 2);
  HoldSome(300, 4, 1);
  Teach(6, 2);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk) << "nobody knows how it was before";
  Teach(6, 2);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded);
}

// Though its loss was computed at once, since Step gives it.
TEST_F(TrainerGuard, TheLossOfASampleInTheMiddleIsNoBase) {
  ASSERT_EQ(SetGuard(4, 7, 0.0f), Status::kOk);
  Teach(6, 2);
  float loss;
  ASSERT_EQ(trainer_.Step(Sample(300).data(), 1, &loss), Status::kOk);
  ASSERT_EQ(trainer_.held(), 1u);
  Teach(6, 2);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
}

TEST_F(TrainerGuard, SamplesHeldBetweenEpochsJudgeTheNext) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  Teach(6, 1);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
  HoldSome(300, 4, 1);
  Teach(6, 2);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded);
}

// Samples that were held in a dropped epoch get their loss from the weights that are back.
TEST_F(TrainerGuard, SamplesHeldInADroppedEpochJudgeTheNext) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  HoldSome(300, 1, 1);
  Teach(6, 2);
  HoldSome(400, 3, 1);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded);
  Teach(2, 2);
  HoldSome(500, 1, 1);  // In place of the first, and too late to judge.
  Teach(2, 2);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded);
}

TEST_F(TrainerGuard, ABatchThatCameUpShortIsJudgedToo) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  HoldSome(300, 4, 1);
  Teach(1, 2);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded);
  EXPECT_TRUE(SameBits(flash_.mapped(), model_.factory()));
}

TEST_F(TrainerGuard, AShortBatchThatCannotBeClippedIsDropped) {
  ASSERT_EQ(SetGuard(4, 0, 1e30f), Status::kOk);
  HoldSome(300, 4, 1);
  const std::vector<float> large(kInputs, 1e25f);  // A finite loss, but no finite norm.
  std::vector<Status> ends;
  for (int label = 0; label < kOutputs; ++label) {
    ASSERT_EQ(trainer_.Step(large.data(), label, nullptr), Status::kOk);
    ends.push_back(trainer_.EndEpoch());
  }
  EXPECT_EQ(std::set<Status>(ends.begin(), ends.end()).count(Status::kEpochDiscarded), 1u);
  EXPECT_EQ(std::set<Status>(ends.begin(), ends.end()).count(Status::kGradientsNotFinite), 0u);
}

TEST_F(TrainerGuard, ACommitInTheMiddleIsTheNewBase) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  HoldSome(300, 4, 1);
  Teach(6, 2);
  EXPECT_EQ(trainer_.Commit(), Status::kOk) << "not judged";
  Teach(2, 1);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk) << "better than at the commit";
}

TEST_F(TrainerGuard, ACommitThatFailsIsNoBase) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  HoldSome(300, 4, 1);
  Teach(8, 1);
  for (uint32_t i = 0; i < MappedFlash::kJournalPages; ++i) {
    flash_.fake.FailErase(MappedFlash::kJournalPage + i, true);
  }
  EXPECT_EQ(trainer_.EndEpoch(), Status::kCommitFailed);
  EXPECT_EQ(trainer_.store_status(), StoreStatus::kJournalFailed);
  EXPECT_EQ(trainer_.step().epochs(), 0u);
  for (uint32_t i = 0; i < MappedFlash::kJournalPages; ++i) {
    flash_.fake.FailErase(MappedFlash::kJournalPage + i, false);
  }
  Teach(2, 2);  // Worse than a moment ago, better than at the last commit.
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
  EXPECT_EQ(trainer_.step().epochs(), 1u);
}

TEST_F(TrainerGuard, AnEpochWithALossThatIsNotFiniteIsDropped) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  HoldSome(300, 4, 1);
  Teach(6, 1);
  const std::vector<float> huge(kInputs, 3e38f);
  float loss = 0.0f;
  EXPECT_EQ(trainer_.Step(huge.data(), 1, &loss), Status::kLossNotFinite);
  EXPECT_FALSE(std::isfinite(loss));
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded);
  EXPECT_TRUE(SameBits(flash_.mapped(), model_.factory()));
  Teach(6, 2);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded) << "the held samples still judge";
  Teach(6, 1);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
}

TEST_F(TrainerGuard, AHeldSampleWithoutAFiniteLossJudgesNothing) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  const std::vector<float> huge(kInputs, 3e38f);
  EXPECT_EQ(trainer_.Hold(huge.data(), 1), Status::kLossNotFinite);
  Teach(6, 1);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
  HoldSome(300, 2, 1);
  Teach(6, 1);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk);
}

TEST_F(TrainerGuard, WrongSamplesAreNotHeld) {
  ASSERT_EQ(SetGuard(4, 0, 0.0f), Status::kOk);
  std::vector<float> broken = Sample(0);
  broken.back() = kNan;
  EXPECT_EQ(trainer_.Hold(broken.data(), 0), Status::kSampleNotFinite);
  const float* none = nullptr;
  EXPECT_EQ(trainer_.Hold(none, 0), Status::kNullArgument);
  device_.TakeReports();
  EXPECT_EQ(trainer_.Hold(Sample(0).data(), 3), Status::kLabelOutOfRange);
  EXPECT_EQ(device_.TakeReports(), "label: expected 0 to 2, received 3\n");
  EXPECT_EQ(trainer_.Hold(Sample(0).data(), -1), Status::kLabelOutOfRange);
  EXPECT_EQ(trainer_.Hold(Sample(0).data(), Sample(0).data()), Status::kLabelOfOtherKind);
  EXPECT_EQ(trainer_.held(), 0u);
}

// --- samples in 8 bits

// Floats, bytes and what the model keeps of them are one sample, to the bit; held back, too.
TEST(Trainer, TakesSamplesIn8BitsInAnyForm) {
  TestModel model;
  model.TakeInt8();
  const SampleType wide = {1.0f / 255.0f, 0.0f, 1.0f / 255.0f, -128};
  model.mutable_model()->sample_type = wide;
  MappedFlash flashes[] = {MappedFlash(model), MappedFlash(model), MappedFlash(model)};
  TestDevice floats(model, &flashes[0]), bytes(model, &flashes[1]), kept(model, &flashes[2]);
  std::vector<uint32_t> memory[3];
  int n = 0;
  for (TestDevice* device : {&floats, &bytes, &kept}) {
    ASSERT_EQ(device->trainer.Begin(), Status::kOk);
    EXPECT_EQ(device->trainer.sample(), nullptr);
    memory[n].assign(2 * ValidationRing::EntryWords(kInputs / 4, 1), 0);
    const uint32_t words = static_cast<uint32_t>(memory[n].size());
    ASSERT_EQ(device->trainer.SetGuard({memory[n].data(), words, 3, 1e30f}), Status::kOk);
    ++n;
  }
  for (uint32_t i = 0; i < 10; ++i) {
    uint8_t picture[kInputs];
    float numbers[kInputs];
    for (int k = 0; k < kInputs; ++k) {
      picture[k] = static_cast<uint8_t>(37 * k + 101 * i);
      numbers[k] = static_cast<float>(picture[k]);
    }
    int8_t* const place = static_cast<int8_t*>(kept.trainer.sample_place());
    for (int k = 0; k < kInputs; ++k) place[k] = static_cast<int8_t>(picture[k] - 128);
    const int label = static_cast<int>(i % 3);
    float losses[3];
    ASSERT_EQ(floats.trainer.Step(numbers, label, &losses[0]), Status::kOk);
    ASSERT_EQ(bytes.trainer.Step(picture, label, &losses[1]), Status::kOk);
    ASSERT_EQ(kept.trainer.Step(place, label, &losses[2]), Status::kOk);
    EXPECT_EQ(losses[0], losses[1]);
    EXPECT_EQ(losses[0], losses[2]);
  }
  for (TestDevice* device : {&floats, &bytes, &kept}) {
    EXPECT_EQ(device->trainer.held(), 2u);
    ASSERT_EQ(device->trainer.EndEpoch(), Status::kOk);
    EXPECT_TRUE(SameBits(device->Predict(3), floats.Predict(3)));
  }
  EXPECT_EQ(memory[0], memory[1]);
  EXPECT_EQ(memory[0], memory[2]);
}

TEST(Trainer, ASampleOfAnotherKindIsRefused) {
  const TestModel model;
  TestModel other;
  other.TakeInt8();  // Of numbers from -8 to 8, or so.
  TestDevice floats(model, nullptr), in_8_bits(other, nullptr);
  const int8_t kept[kInputs] = {};
  const uint8_t picture[kInputs] = {};
  const float bad[kInputs] = {kNan};
  float scores[kOutputs];
  ASSERT_EQ(floats.trainer.Begin(), Status::kOk);
  ASSERT_EQ(in_8_bits.trainer.Begin(), Status::kOk);
  EXPECT_EQ(floats.trainer.Step(kept, 0, nullptr), Status::kSampleOfOtherKind);
  EXPECT_EQ(floats.trainer.Hold(picture, 0), Status::kSampleOfOtherKind);
  EXPECT_EQ(in_8_bits.trainer.Predict(picture, scores), Status::kSampleOfOtherKind);
  EXPECT_EQ(in_8_bits.trainer.Predict(kept, scores), Status::kOk);
  EXPECT_EQ(in_8_bits.trainer.Step(bad, 0, nullptr), Status::kSampleNotFinite);
  EXPECT_EQ(in_8_bits.trainer.Step(nullptr, 0, nullptr), Status::kNullArgument);
}

TEST_F(TrainerGuard, AHeldSampleMayLieInTheArena) {
  ASSERT_EQ(SetGuard(1, 2, 0.0f), Status::kOk);
  for (uint32_t i = 0; i < 4; ++i) {
    const std::vector<float> sample = Sample(i);
    memcpy(trainer_.sample(), sample.data(), 4 * kInputs);
    ASSERT_EQ(trainer_.Step(trainer_.sample(), 1, nullptr), Status::kOk);
    if (i % 2 == 1) {
      EXPECT_EQ(memcmp(memory_.data(), sample.data(), 4 * kInputs), 0);
    }
  }
  EXPECT_EQ(trainer_.held(), 1u);
}

}  // namespace
}  // namespace medyate
