// New classes, other models, and the way back to the factory's state.

#include <cmath>
#include <limits>

#include "tests/tflm_ops/trainer/trainer_world.h"
#include "tflm_ops/trainer/trainer.h"

namespace medyate {
namespace {

using math::SameBits;
using Status = TrainerStatus;

const int kNamed = 2;  // Of three classes.

std::string NameOf(const Trainer& trainer, int label, uint32_t room = kClassNameBytes) {
  char name[kClassNameBytes];
  return trainer.ClassName(label, name, room) ? name : "(none)";
}

class TrainerClasses : public ::testing::Test {
 protected:
  TrainerClasses() : TrainerClasses(kNamed) {}
  explicit TrainerClasses(int named)
      : model_(named), flash_(model_), device_(model_, &flash_), trainer_(device_.trainer) {
    EXPECT_EQ(trainer_.Begin(), Status::kOk);
  }

  float Bias(int label) const {
    return flash_.mapped()[model_.head().bias_weights_offset + static_cast<uint32_t>(label)];
  }

  TestModel model_;
  MappedFlash flash_;
  TestDevice device_;
  Trainer& trainer_;
};

TEST_F(TrainerClasses, ASpareClassHasNoProbabilityAndNoGradient) {
  ASSERT_EQ(trainer_.classes(), kNamed);
  for (uint32_t epoch = 0; epoch < 10; ++epoch) {
    for (uint32_t seed = 0; seed < 20; ++seed) ASSERT_EQ(device_.Predict(seed)[2], 0.0f);
    device_.Steps(6 * epoch, 5);
    ASSERT_EQ(trainer_.EndEpoch(), Status::kOk);
    ASSERT_EQ(Bias(2), kSpareBias);
    for (uint32_t i = 0; i < 4; ++i) {
      ASSERT_EQ(flash_.mapped()[model_.head().weights_offset + 3 * i + 2], 0.0f);
    }
  }
  EXPECT_NE(Bias(0), model_.factory()[model_.head().bias_weights_offset]);
}

TEST_F(TrainerClasses, AnEnrolledClassLearnsAndIsThereAfterARestart) {
  device_.Steps(0, 4);
  ASSERT_EQ(trainer_.EndEpoch(), Status::kOk);
  int label = -1;
  ASSERT_EQ(trainer_.Enrol("Grüße, 手", &label), Status::kOk);
  EXPECT_EQ(label, 2);
  EXPECT_EQ(trainer_.classes(), 3);
  EXPECT_EQ(Bias(2), (Bias(0) + Bias(1)) / 2.0f);
  EXPECT_GT(device_.Predict(50)[2], 0.01f);
  for (uint32_t i = 0; i < 40; ++i) {
    // Samples of the new class lie elsewhere than the others.
    std::vector<float> sample = Sample(i);
    const int of = static_cast<int>(i) % 3;
    for (float& value : sample) value += of == 2 ? 2.0f : 0.0f;
    ASSERT_EQ(trainer_.Step(sample.data(), of, nullptr), Status::kOk);
  }
  ASSERT_EQ(trainer_.EndEpoch(), Status::kOk);

  TestDevice restarted(model_, &flash_);
  ASSERT_EQ(restarted.trainer.Begin(), Status::kOk);
  EXPECT_EQ(restarted.trainer.classes(), 3);
  EXPECT_EQ(NameOf(restarted.trainer, 2), "Grüße, 手");
  std::vector<float> sample = Sample(100), scores(kOutputs);
  for (float& value : sample) value += 2.0f;
  ASSERT_EQ(restarted.trainer.Predict(sample.data(), scores.data()), Status::kOk);
  EXPECT_GT(scores[2], scores[0]);
  EXPECT_GT(scores[2], scores[1]);
  EXPECT_LT(restarted.Predict(100)[2], 0.5f);
}

TEST_F(TrainerClasses, TheFirstSampleOfANewClassEnrolsIt) {
  std::vector<float> broken = Sample(0);
  broken[3] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(trainer_.Step(broken.data(), 2, nullptr), Status::kSampleNotFinite);
  EXPECT_EQ(trainer_.Hold(Sample(0).data(), 2), Status::kLabelOutOfRange);
  EXPECT_EQ(trainer_.classes(), kNamed);
  device_.TakeReports();
  EXPECT_EQ(trainer_.Step(Sample(0).data(), 3, nullptr), Status::kLabelOutOfRange);
  EXPECT_EQ(device_.TakeReports(), "label: expected 0 to 2, received 3\n");

  // In the arena, where nothing may overwrite it in between.
  std::vector<uint32_t> memory(35);
  ASSERT_EQ(trainer_.SetGuard({memory.data(), 35, 0, 0.0f}), Status::kOk);
  ASSERT_EQ(trainer_.Hold(Sample(1).data(), 0), Status::kOk);
  float loss, wanted;
  const std::vector<float> sample = Sample(7);
  memcpy(trainer_.sample(), sample.data(), 4 * kInputs);
  ASSERT_EQ(trainer_.Step(trainer_.sample(), 2, &loss), Status::kOk);
  EXPECT_EQ(trainer_.classes(), 3);
  EXPECT_EQ(NameOf(trainer_, 2), "class 2");
  EXPECT_EQ(trainer_.step().samples(), 1u);
  TestDevice other(model_, &flash_);
  ASSERT_EQ(other.trainer.Begin(), Status::kOk);
  ASSERT_EQ(other.trainer.Step(sample.data(), 2, &wanted), Status::kOk);
  EXPECT_EQ(loss, wanted);
  EXPECT_EQ(trainer_.Step(sample.data(), 3, nullptr), Status::kLabelOutOfRange);
  EXPECT_EQ(trainer_.Step(sample.data(), -1, nullptr), Status::kLabelOutOfRange);
}

TEST_F(TrainerClasses, EnrolmentInTheMiddleOfAnEpochKeepsWhatWasLearned) {
  model_.SetWeightDecay(0.02f);  // It moves the bias of a spare class, too: by 50 a step.
  ASSERT_EQ(trainer_.Begin(), Status::kOk);
  device_.Steps(0, 6);
  const std::vector<float> before = device_.Predict(50);
  const Progress progress = {trainer_.step().samples(), trainer_.step().updates(), 0, 0};
  ASSERT_EQ(before[2], 0.0f);
  ASSERT_EQ(trainer_.Enrol("new", nullptr), Status::kOk);
  const std::vector<float> after = device_.Predict(50);
  EXPECT_NEAR(after[0] / after[1], before[0] / before[1], 1e-5f * before[0] / before[1]);
  EXPECT_GT(after[2], 0.05f);
  EXPECT_LT(after[2], 0.8f);
  EXPECT_EQ(trainer_.step().samples(), progress.samples);
  EXPECT_EQ(trainer_.step().updates(), progress.updates);
  ASSERT_EQ(trainer_.EndEpoch(), Status::kOk);
  const std::vector<float> committed = device_.Predict(50);
  for (int i = 0; i < kOutputs; ++i) EXPECT_NEAR(committed[i], after[i], 1e-5f);
}

TEST_F(TrainerClasses, NamesMustBeNewAndReadable) {
  const std::string longest(60, 'x'), longer(61, 'x');
  const char* const bad[] = {
      "", longer.c_str(), "\xff", "a\xc3", "\xc0\x80", "\x80zz", "\xed\xa0\x80", "\xf4\x90\x80\x80",
      // Control characters: ends of lines, of fields, a terminal's escape, C1, direction.
      "a\n4\tevil", "a\tb", "\x1b[2J", "a\r", "a\x7f",
      "a\xc2\x9b"
      "31m",
      "a\xe2\x80\xa8z",
      "\xe2\x80\xae"
      "abc",
      "\xe2\x81\xa6"};
  for (const char* name : bad) EXPECT_EQ(trainer_.Enrol(name, nullptr), Status::kBadName) << name;
  EXPECT_EQ(trainer_.Enrol(nullptr, nullptr), Status::kNullArgument);
  EXPECT_EQ(trainer_.Enrol("walk", nullptr), Status::kNameTaken);
  EXPECT_EQ(trainer_.classes(), kNamed);
  EXPECT_EQ(trainer_.sink().store().sequence(), 1u) << "nothing was written";
  model_.mutable_model()->named_classes = 1;
  ASSERT_EQ(trainer_.Begin(), Status::kOk);
  EXPECT_EQ(trainer_.Enrol("[/red] \xc2\xa0\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa", nullptr),
            Status::kOk)
      << "what lies beside them is none";
  EXPECT_EQ(trainer_.Enrol(longest.c_str(), nullptr), Status::kOk);
  EXPECT_EQ(NameOf(trainer_, 2), longest);
  device_.TakeReports();
  EXPECT_EQ(trainer_.Enrol("one more", nullptr), Status::kNoSpareClass);
  EXPECT_EQ(device_.TakeReports(), "classes: expected a spare one, all are in use\n");
  EXPECT_EQ(trainer_.Enrol(longest.c_str(), nullptr), Status::kNameTaken);
}

TEST_F(TrainerClasses, NamesAreCutWhereACharacterEnds) {
  ASSERT_EQ(trainer_.Enrol("Gr\xc3\xbc\xc3\x9f", nullptr), Status::kOk);  // Six bytes.
  EXPECT_EQ(NameOf(trainer_, 0), "rest");
  EXPECT_EQ(NameOf(trainer_, 0, 3), "re");
  EXPECT_EQ(NameOf(trainer_, 2, 7), "Gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(NameOf(trainer_, 2, 6), "Gr\xc3\xbc");
  EXPECT_EQ(NameOf(trainer_, 2, 4), "Gr");
  EXPECT_EQ(NameOf(trainer_, 2, 1), "");
  EXPECT_EQ(NameOf(trainer_, 2, 0), "(none)");
  EXPECT_EQ(NameOf(trainer_, 3), "(none)");
  EXPECT_EQ(NameOf(trainer_, -1), "(none)");
}

TEST_F(TrainerClasses, ANumberThatIsTakenAsANameIsNotGivenTwice) {
  model_.mutable_model()->named_classes = 1;
  ASSERT_EQ(trainer_.Begin(), Status::kOk);
  ASSERT_EQ(trainer_.Enrol("class 2", nullptr), Status::kOk);
  EXPECT_EQ(trainer_.Step(Sample(0).data(), 2, nullptr), Status::kNameTaken);
}

TEST_F(TrainerClasses, AModelWithoutSpareClassesOrNamesHasNone) {
  StaticModel& model = *model_.mutable_model();
  model.named_classes = 0;
  model.class_names = nullptr;
  ASSERT_EQ(trainer_.Begin(), Status::kOk);
  EXPECT_EQ(trainer_.classes(), kOutputs);
  EXPECT_EQ(NameOf(trainer_, 0), "(none)");
  EXPECT_EQ(trainer_.Enrol("new", nullptr), Status::kNoSpareClass);
  model.named_classes = 4;
  EXPECT_EQ(trainer_.Begin(), Status::kBadModel);
}

TEST_F(TrainerClasses, HeldSamplesAreMeasuredAnewOnceThereIsANewClass) {
  model_.mutable_model()->named_classes = 1;
  ASSERT_EQ(trainer_.Begin(), Status::kOk);
  std::vector<uint32_t> memory(4 * 35);
  ASSERT_EQ(trainer_.SetGuard({memory.data(), 4 * 35, 0, 0.0f}), Status::kOk);
  for (uint32_t i = 0; i < 4; ++i) ASSERT_EQ(trainer_.Hold(Sample(i).data(), 0), Status::kOk);
  ASSERT_EQ(trainer_.Enrol("one", nullptr), Status::kOk);
  EXPECT_EQ(trainer_.EndEpoch(), Status::kOk) << "all losses rose, but by no fault of the epoch";
  ASSERT_EQ(trainer_.Enrol("two", nullptr), Status::kOk);
  for (uint32_t i = 0; i < 8; ++i) {
    ASSERT_EQ(trainer_.Step(Sample(i).data(), 2, nullptr), Status::kOk);
  }
  EXPECT_EQ(trainer_.EndEpoch(), Status::kEpochDiscarded);
}

// --- back to the factory's state

TEST_F(TrainerClasses, ResetForgetsEverything) {
  model_.mutable_model()->named_classes = 1;
  ASSERT_EQ(trainer_.Begin(), Status::kOk);
  const Traits fresh = device_.Describe();
  device_.Steps(0, 4);
  ASSERT_EQ(trainer_.EndEpoch(), Status::kOk);
  ASSERT_EQ(trainer_.Enrol("one", nullptr), Status::kOk);
  ASSERT_EQ(trainer_.Enrol("two", nullptr), Status::kOk);
  device_.Steps(4, 5);
  EXPECT_TRUE(device_.Describe() != fresh);
  ASSERT_EQ(trainer_.Reset(), Status::kOk);
  EXPECT_TRUE(device_.Describe() == fresh);
  EXPECT_TRUE(SameBits(flash_.mapped(), model_.factory()));
  TestDevice restarted(model_, &flash_);
  ASSERT_EQ(restarted.trainer.Begin(), Status::kOk);
  EXPECT_TRUE(restarted.Describe() == fresh);
  // The second name is gone as well.
  ASSERT_EQ(trainer_.Enrol("three", nullptr), Status::kOk);
  EXPECT_EQ(trainer_.classes(), 2);
  ASSERT_EQ(restarted.trainer.Begin(), Status::kOk);
  EXPECT_EQ(restarted.trainer.classes(), 2);
}

TEST_F(TrainerClasses, ResetNeedsACopyOfTheFactoryWeights) {
  model_.mutable_model()->factory = nullptr;
  device_.Steps(0, 4);
  ASSERT_EQ(trainer_.EndEpoch(), Status::kOk);
  const Traits traits = device_.Describe();
  EXPECT_EQ(trainer_.Reset(), Status::kNoFactoryCopy);
  EXPECT_TRUE(device_.Describe() == traits);
}

TEST_F(TrainerClasses, AnotherModelIsNeverMixedWithWhatWasLearned) {
  for (bool changes_hash : {true, false}) {
    TestDevice old(model_, &flash_);
    ASSERT_EQ(old.trainer.Begin(), Status::kOk);
    old.Steps(0, 4);
    ASSERT_EQ(old.trainer.EndEpoch(), Status::kOk);
    ASSERT_EQ(old.trainer.Enrol("new", nullptr), Status::kOk);
    model_.ChangeWeights(0.25f, changes_hash);
    flash_.Program(model_);
    TestDevice updated(model_, &flash_);
    EXPECT_EQ(updated.trainer.Begin(), Status::kStoreFailed);
    EXPECT_EQ(updated.trainer.store_status(),
              changes_hash ? StoreStatus::kOtherModel : StoreStatus::kWeightsChanged);
    ASSERT_TRUE(updated.trainer.is_ready());
    EXPECT_EQ(updated.trainer.classes(), kNamed);
    EXPECT_EQ(updated.trainer.step().samples(), 0u);
    updated.Steps(0, 4);
    const std::vector<float> scores = updated.Predict(3);
    EXPECT_EQ(updated.trainer.EndEpoch(), Status::kCommitFailed);
    EXPECT_TRUE(SameBits(scores, updated.Predict(3)));
    EXPECT_EQ(updated.trainer.Enrol("other", nullptr), Status::kStoreFailed);
    EXPECT_EQ(updated.trainer.classes(), kNamed);
    EXPECT_TRUE(SameBits(flash_.mapped(), model_.factory()));

    // Dropped if asked for, or by a reset, which comes to the same.
    EXPECT_EQ(
        changes_hash ? updated.trainer.Begin(ForeignState::kDropLearned) : updated.trainer.Reset(),
        Status::kOk);
    EXPECT_EQ(updated.trainer.classes(), kNamed);
    updated.Steps(0, 4);
    EXPECT_EQ(updated.trainer.EndEpoch(), Status::kOk);
    TestDevice restarted(model_, &flash_);
    ASSERT_EQ(restarted.trainer.Begin(), Status::kOk);
    EXPECT_EQ(restarted.trainer.step().epochs(), 1u);
    ASSERT_EQ(restarted.trainer.Reset(), Status::kOk);
  }
}

TEST_F(TrainerClasses, DamagedWeightsAreNotUsed) {
  device_.Steps(0, 4);
  ASSERT_EQ(trainer_.EndEpoch(), Status::kOk);
  ASSERT_EQ(trainer_.Enrol("new", nullptr), Status::kOk);
  std::vector<float> damaged = flash_.mapped();
  damaged[5] += 1.0f;
  flash_.Program(damaged);
  EXPECT_EQ(trainer_.Begin(), Status::kStoreFailed);
  EXPECT_EQ(trainer_.store_status(), StoreStatus::kWeightsChanged);
  EXPECT_FALSE(trainer_.is_ready());
  float scores[kOutputs];
  EXPECT_EQ(trainer_.Predict(Sample(0).data(), scores), Status::kStoreFailed);
  EXPECT_EQ(trainer_.Step(Sample(0).data(), 0, nullptr), Status::kStoreFailed);
  EXPECT_EQ(trainer_.Begin(ForeignState::kDropLearned), Status::kStoreFailed);
  EXPECT_FALSE(trainer_.is_ready());
  EXPECT_EQ(NameOf(trainer_, 2), "new") << "what can be read is offered";
  flash_.Program(model_);  // Flashed again.
  EXPECT_EQ(trainer_.Begin(), Status::kStoreFailed);
  EXPECT_TRUE(trainer_.is_ready());
  EXPECT_EQ(trainer_.classes(), kNamed) << "the name belongs to weights that are gone";
  EXPECT_EQ(trainer_.Begin(ForeignState::kDropLearned), Status::kOk);
}

// The factory's copy puts right whatever decays: weights, journal, or both.
TEST_F(TrainerClasses, ResetIsTheWayOutOfAnyDamage) {
  const Traits fresh = device_.Describe();
  device_.Steps(0, 4);
  ASSERT_EQ(trainer_.EndEpoch(), Status::kOk);
  ASSERT_EQ(trainer_.Enrol("new", nullptr), Status::kOk);
  const FakeFlash used = flash_.fake;
  for (uint32_t damage = 0; damage < 40; ++damage) {
    flash_.fake = used;
    flash_.Map();
    math::Random random(damage);
    for (uint32_t i = 0; i < 2 + damage; ++i) {
      const int pages = MappedFlash::kJournalPage + MappedFlash::kJournalPages;
      const int word = random.Int(kPageFloats, pages * kPageFloats - 1);
      flash_.fake.FlipBits(4 * static_cast<uint32_t>(word), 1u << random.Int(0, 29));
    }
    // The newest head, and a weight page: twice each.
    if (damage % 2 == 0) {
      for (uint32_t page = 0; page < MappedFlash::kJournalPages; ++page) {
        flash_.fake.FlipBits((MappedFlash::kJournalPage + page) * kPageBytes + 8, 3);
      }
    }
    if (damage % 3 == 0) flash_.fake.FlipBits(MappedFlash::kWeightsPage * kPageBytes, 3);
    flash_.Map();
    TestDevice restarted(model_, &flash_);
    restarted.trainer.Begin();
    ASSERT_EQ(restarted.trainer.Reset(), Status::kOk) << restarted.trainer.store_status();
    EXPECT_TRUE(restarted.Describe() == fresh);
    TestDevice next(model_, &flash_);
    ASSERT_EQ(next.trainer.Begin(), Status::kOk);
    EXPECT_TRUE(next.Describe() == fresh);
    ASSERT_EQ(next.trainer.Enrol("again", nullptr), Status::kOk);
  }
}

TEST_F(TrainerClasses, ACopyThatHasDecayedIsNone) {
  std::vector<float> copy = model_.factory();
  copy[3] += 1.0f;
  model_.mutable_model()->factory = copy.data();
  EXPECT_EQ(trainer_.Reset(), Status::kNoFactoryCopy);
  EXPECT_TRUE(trainer_.is_ready());
}

}  // namespace
}  // namespace medyate
