// Power cuts all along what a trainer writes, and flash that fails for good.

#include <stdio.h>
#include <stdlib.h>

#include <functional>
#include <set>

#include "tests/tflm_ops/trainer/trainer_world.h"
#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/head_page.h"
#include "tflm_ops/trainer/trainer.h"

namespace medyate {
namespace {

using math::SameBits;
using Status = TrainerStatus;

// --- power cuts

struct State {
  Traits now;    // What a start finds.
  Traits later;  // An epoch on.
};

State StateOf(const TestModel& model, const MappedFlash& flash) {
  MappedFlash copy = flash;
  TestDevice device(model, &copy);
  EXPECT_EQ(device.trainer.Begin(), Status::kOk);
  State state;
  state.now = device.Describe();
  device.Steps(800, 3);
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kOk);
  state.later = device.Describe();
  return state;
}

const uint64_t kStride = getenv("MEDYATE_NIGHTLY") ? 1 : 5;

using Act = std::function<Status(TestDevice*)>;

class TrainerCuts : public ::testing::Test {
 protected:
  TrainerCuts() : model_(2), flash_(model_) {
    TestDevice device(model_, &flash_);
    EXPECT_EQ(device.trainer.Begin(), Status::kOk);
    for (uint32_t epoch = 0; epoch < 3; ++epoch) {
      device.Steps(10 * epoch, 5);
      EXPECT_EQ(device.trainer.EndEpoch(), Status::kOk);
    }
  }

  // A device that has begun an epoch.
  void Prepare(TestDevice* device) {
    ASSERT_EQ(device->trainer.Begin(), Status::kOk);
    device->Steps(100, 5);
  }

  // Cuts the power at every fifth flash operation (by night at every one) of the act, and starts
  // again: the state is that from before or that from after, and goes on as it does without a cut
  // (every fourth is tried). weight_store_cuts_test cuts at all of a commit; here, what a trainer
  // writes must be one commit: between two there are hundreds of operations.
  void CutAllAlong(const char* name, const Act& act) {
    const State before = StateOf(model_, flash_);
    MappedFlash whole = flash_;
    TestDevice device(model_, &whole);
    Prepare(&device);
    const uint64_t first = whole.fake.operations();
    ASSERT_EQ(act(&device), Status::kOk);
    const uint64_t operations = whole.fake.operations() - first;
    const State after = StateOf(model_, whole);
    ASSERT_TRUE(before.now != after.now);
    ASSERT_TRUE(before.later != after.later);
    int old = 0, recut = 0;
    for (uint64_t cut = 0; cut < operations; cut += kStride) {
      MappedFlash flash = flash_;
      flash.fake.Reseed(static_cast<uint32_t>(cut));
      Cut(act, cut, &flash);
      // Every tenth start is cut, too, somewhere.
      if (cut % 10 == 0) recut += CutStart(37 * cut % 4000, &flash) ? 1 : 0;
      TestDevice restarted(model_, &flash);
      ASSERT_EQ(restarted.trainer.Begin(), Status::kOk) << "cut at " << cut;
      const Traits found = restarted.Describe();
      const bool is_old = found == before.now;
      ASSERT_TRUE(is_old || found == after.now) << "cut at " << cut;
      ASSERT_TRUE(flash.fake.IsStable(MappedFlash::kWeightsPage * kPageBytes, 2 * kPageFloats));
      old += is_old ? 1 : 0;
      if (cut % 4 == 0) GoOn(&restarted, is_old ? before : after);
      ASSERT_TRUE(flash.NeighboursAreUntouched());
      ASSERT_FALSE(HasFailure()) << "cut at " << cut;
    }
    printf("%s: %d operations, %d times the old state, %d starts cut as well\n", name,
           static_cast<int>(operations), old, recut);
    EXPECT_GT(old, 0);
    EXPECT_LT(old, static_cast<int>(operations / kStride));
    EXPECT_GT(recut, 0);
  }

  void GoOn(TestDevice* device, const State& state) {
    device->Steps(800, 3);
    ASSERT_EQ(device->trainer.EndEpoch(), Status::kOk);
    EXPECT_TRUE(device->Describe() == state.later);
  }

  void Cut(const Act& act, uint64_t operation, MappedFlash* flash) {
    TestDevice device(model_, flash);
    Prepare(&device);
    flash->fake.CutAt(operation);
    act(&device);
    ASSERT_TRUE(flash->fake.is_cut());
    flash->fake.Restart();
  }

  bool CutStart(uint64_t operation, MappedFlash* flash) {
    TestDevice device(model_, flash);
    flash->fake.CutAt(operation);
    device.trainer.Begin();
    const bool is_cut = flash->fake.is_cut();
    flash->fake.Restart();
    return is_cut;
  }

  TestModel model_;
  MappedFlash flash_;
};

TEST_F(TrainerCuts, EndOfEpoch) {
  CutAllAlong("EndEpoch", [](TestDevice* device) { return device->trainer.EndEpoch(); });
}

TEST_F(TrainerCuts, Enrolment) {
  CutAllAlong("Enrol",
              [](TestDevice* device) { return device->trainer.Enrol("new one", nullptr); });
}

TEST_F(TrainerCuts, Reset) {
  CutAllAlong("Reset", [](TestDevice* device) { return device->trainer.Reset(); });
}

// Importances of any number of channels change along with weights and progress, whole.
TEST(FlashSinkCuts, ImportancesOfAnyNumberAreOldOrNew) {
  const TestModel golden;
  for (uint32_t channels : {840u, 1024u, 1025u, 4500u}) {
    const int dims[] = {1, static_cast<int>(channels)};
    std::vector<StaticTensor> tensors(golden.model().tensors,
                                      golden.model().tensors + golden.model().tensor_count);
    tensors[golden.model().importance].dims = dims;
    StaticModel model = golden.model();
    model.tensors = tensors.data();
    const uint32_t floats = model.weights_floats, pages = JournalPages(floats, channels, 0);
    FakeFlash clean(kPageBytes, 4 + pages, channels);
    clean.Program(kPageBytes, Words(golden.factory()));
    const auto place = [&](FakeFlash* flash) {
      return FlashPlace{flash, kPageBytes, 4 * kPageBytes, pages, golden.factory().data(), 0, 0};
    };
    const auto commit = [&](FlashSink* sink, uint32_t number) {
      const float value = static_cast<float>(number);
      const std::vector<float> importance(channels, value);
      const WeightRun all = {0, 0, floats};
      const ArrayRuns runs(&all, 1);
      const std::vector<float> weights(floats, value);
      return sink->Commit({&runs, weights.data(), floats, Progress{number, number, number, 0},
                           importance.data(), channels});
    };
    {
      FlashSink sink(model, place(&clean));
      ASSERT_EQ(sink.Open(ForeignState::kRefuse), StoreStatus::kOk);
      for (uint32_t i = 1; i < 4; ++i) ASSERT_EQ(commit(&sink, i), CommitResult::kOk);
    }
    uint32_t seen[5] = {};
    bool was_cut = true;
    for (uint64_t at = 0; was_cut; at += 83) {
      FakeFlash flash = clean;
      flash.Reseed(static_cast<uint32_t>(at));
      {
        FlashSink sink(model, place(&flash));
        ASSERT_EQ(sink.Open(ForeignState::kRefuse), StoreStatus::kOk);
        flash.CutAt(at);
        commit(&sink, 4);
        was_cut = flash.is_cut();
        flash.Restart();
      }
      FlashSink sink(model, place(&flash));
      ASSERT_EQ(sink.Open(ForeignState::kRefuse), StoreStatus::kOk);
      Progress progress;
      ASSERT_TRUE(sink.ReadProgress(&progress));
      ASSERT_TRUE(progress.samples == 3 || progress.samples == 4);
      ++seen[progress.samples];
      std::vector<float> importance(channels);
      ASSERT_TRUE(sink.ReadImportance(importance.data(), channels));
      const float value = static_cast<float>(progress.samples);
      EXPECT_EQ(importance, std::vector<float>(channels, value));
      EXPECT_EQ(flash.Contents(kPageBytes, floats), Words(std::vector<float>(floats, value)));
      // Records alone leave them as they are.
      const RecordChange name = {"class/2", "new", 3};
      ASSERT_EQ(sink.Change({nullptr, nullptr, 0, &name, 1, nullptr}), StoreStatus::kOk);
      ASSERT_TRUE(sink.ReadImportance(importance.data(), channels));
      EXPECT_EQ(importance, std::vector<float>(channels, value));
    }
    EXPECT_GT(seen[3], 10u);
    EXPECT_GT(seen[4], 10u);
  }
}

// With a journal that has no room for images of all pages: commits of runs and a reset, old or new.
TEST(FlashSinkCuts, AJournalOfRunsTakesCommitsAndARestoreButNoPush) {
  const TestModel golden;
  const uint32_t floats = 8 * kPageFloats;
  math::Random random(5);
  const std::vector<float> factory = random.Floats(static_cast<int>(floats));
  StaticModel model = golden.model();
  model.weights_floats = floats;
  model.factory = factory.data();
  model.weights_crc = Crc32(0, factory.data(), 4 * floats);
  const uint32_t channels = ImportanceFloats(model), pages = JournalPages(floats, channels, 1);
  ASSERT_EQ(pages, 7u) << "of 12 that images take";
  FakeFlash clean(kPageBytes, 8 + pages, 7);
  clean.Program(0, Words(factory));
  const auto place = [&](FakeFlash* flash) {
    return FlashPlace{flash, 0, 8 * kPageBytes, pages, factory.data(), 10000, 1};
  };
  const std::vector<float> pool = random.Floats(80), importance(channels, 1.0f);
  std::vector<WeightRun> runs;
  std::vector<float> learned = factory;
  for (uint32_t page = 0; page < 8; ++page) {
    const uint32_t word = page == 7 ? 300 : 170 * page;  // That of page 6 crosses its end.
    runs.push_back({10 * page, page * kPageFloats + word, 10});
    for (uint32_t i = 0; i < 10; ++i) learned[runs[page].weight_offset + i] = pool[10 * page + i];
  }
  const ArrayRuns all(runs.data(), 8);
  const auto commit = [&](FlashSink* sink) {
    return sink->Commit({&all, pool.data(), 80, Progress{4, 4, 4, 0}, importance.data(), channels});
  };
  {
    FlashSink sink(model, place(&clean));
    ASSERT_EQ(sink.Open(ForeignState::kRefuse), StoreStatus::kOk);
    EXPECT_EQ(sink.CommitsLeft(), (9999u / 11 - 1) * 7) << "8 images, head, runs, importances";
  }
  uint32_t fresh = 0;
  bool was_cut = true;
  for (uint64_t at = 0; was_cut; at += getenv("MEDYATE_NIGHTLY") ? 97 : 1511) {
    SCOPED_TRACE(testing::Message() << "operation " << at);
    FakeFlash flash = clean;
    flash.Reseed(static_cast<uint32_t>(at));
    {
      FlashSink sink(model, place(&flash));
      ASSERT_EQ(sink.Open(ForeignState::kRefuse), StoreStatus::kOk);
      flash.CutAt(at);
      commit(&sink);
      was_cut = flash.is_cut();
      flash.Restart();
    }
    FlashSink sink(model, place(&flash));
    ASSERT_EQ(sink.Open(ForeignState::kRefuse), StoreStatus::kOk);
    Progress progress;
    const bool is_new = sink.ReadProgress(&progress);
    fresh += is_new ? 1 : 0;
    EXPECT_EQ(flash.Contents(0, floats), Words(is_new ? learned : factory));
    EXPECT_EQ(sink.store().BeginReplace(), StoreStatus::kJournalTooSmall);
    EXPECT_EQ(commit(&sink), CommitResult::kOk);
    EXPECT_EQ(flash.Contents(0, floats), Words(learned));
    EXPECT_EQ(sink.Restore(nullptr, 0), StoreStatus::kOk);
    EXPECT_EQ(flash.Contents(0, floats), Words(factory));
    EXPECT_TRUE(sink.are_weights_sound());
  }
  EXPECT_GT(fresh, 5u);
}

// --- flash that fails for good

enum class Fault { kErase, kWrite, kStuckWord, kStuckDoneMarks, kStuckMarks };
const Fault kFaults[] = {Fault::kErase, Fault::kWrite, Fault::kStuckWord, Fault::kStuckDoneMarks,
                         Fault::kStuckMarks};

uint32_t WordsOfMarks(Fault fault) {
  if (fault == Fault::kStuckDoneMarks) return kMarkWords * (kNextSlots + kSlots);
  return fault == Fault::kStuckMarks ? kMarkWords * (kNextSlots + 2 * kSlots) : 0;
}

void SetFault(Fault fault, uint32_t page, bool is_there, FakeFlash* flash) {
  const uint32_t stuck = is_there ? 0xffffffffu : 0;
  if (fault == Fault::kErase) flash->FailErase(page, is_there);
  if (fault == Fault::kWrite) flash->FailWrite(page, is_there);
  // Of a head, or of the first layer's weights: none of them is all ones.
  if (fault == Fault::kStuckWord) flash->StickAtOne(page * kPageBytes + 16, stuck);
  for (uint32_t i = 1; i <= WordsOfMarks(fault); ++i) {
    flash->StickAtOne((page + 1) * kPageBytes - 4 * i, stuck);
  }
}

// Trains on through a fault: as long as the trainer is ready, no end of an epoch, successful or
// not, changes what it says.
std::set<StoreStatus> TrainThrough(TestDevice* device) {
  Trainer& trainer = device->trainer;
  std::set<StoreStatus> seen;
  for (uint32_t epoch = 0; epoch < 8 && trainer.is_ready(); ++epoch) {
    const std::vector<float> before = device->Predict(1);
    device->Steps(10 * epoch, 4);
    const std::vector<float> learned = device->Predict(1);
    EXPECT_FALSE(SameBits(before, learned)) << "a commit that is lost would not show";
    const Status status = trainer.EndEpoch();
    seen.insert(trainer.store_status());
    if (!trainer.is_ready()) {
      EXPECT_EQ(status, Status::kStoreFailed);
      float scores[kOutputs];
      EXPECT_EQ(trainer.Predict(Sample(0).data(), scores), Status::kStoreFailed);
      break;
    }
    EXPECT_TRUE(SameBits(learned, device->Predict(1))) << trainer.store_status();
    if (status == Status::kOk) continue;
    EXPECT_EQ(status, Status::kCommitFailed);
    EXPECT_NE(trainer.store_status(), StoreStatus::kOk) << "no reason";
  }
  return seen;
}

TEST(TrainerFaults, TrainingGoesOnInRamAndNoBitIsLost) {
  const TestModel model;
  std::set<StoreStatus> seen, found;
  for (Fault fault : kFaults) {
    for (uint32_t page = MappedFlash::kWeightsPage; page < MappedFlash::kPages - 1; ++page) {
      SCOPED_TRACE(static_cast<int>(fault) * 100 + static_cast<int>(page));
      MappedFlash flash(model);
      TestDevice device(model, &flash);
      ASSERT_EQ(device.trainer.Begin(), Status::kOk);
      device.Steps(0, 4);
      ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
      SetFault(fault, page, true, &flash.fake);
      for (StoreStatus status : TrainThrough(&device)) seen.insert(status);
      // A start with the fault, one without.
      const uint32_t commits = device.trainer.sink().store().sequence();
      TestDevice restarted(model, &flash);
      restarted.trainer.Begin();
      found.insert(restarted.trainer.store_status());
      TrainThrough(&restarted);
      SetFault(fault, page, false, &flash.fake);
      TestDevice repaired(model, &flash);
      ASSERT_EQ(repaired.trainer.Begin(), Status::kOk);
      EXPECT_GE(repaired.trainer.sink().store().sequence(), commits);
      EXPECT_EQ(repaired.trainer.step().epochs() + 1, repaired.trainer.sink().store().sequence());
      EXPECT_EQ(TrainThrough(&repaired), std::set<StoreStatus>{StoreStatus::kOk});
    }
  }
  EXPECT_EQ(seen, (std::set<StoreStatus>{StoreStatus::kOk, StoreStatus::kJournalFailed,
                                         StoreStatus::kWeightsFailed, StoreStatus::kNotClosed}));
  EXPECT_EQ(found.count(StoreStatus::kWeightsFailed), 1u);
}

// A head whose done marks cannot be written holds a commit, which counts, and is the last.
TEST(TrainerFaults, ACommitThatIsNotClosedCountsOnce) {
  const TestModel model(2);
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  Trainer& trainer = device.trainer;
  ASSERT_EQ(trainer.Begin(), Status::kOk);
  // The head of the next commit.
  SetFault(Fault::kStuckDoneMarks, MappedFlash::kJournalPage + 1, true, &flash.fake);
  device.Steps(0, 4);
  const std::vector<float> learned = device.Predict(1);
  EXPECT_EQ(trainer.EndEpoch(), Status::kOk);
  EXPECT_EQ(trainer.store_status(), StoreStatus::kNotClosed);
  EXPECT_TRUE(SameBits(learned, device.Predict(1)));
  EXPECT_EQ(trainer.step().epochs(), 1u);
  device.Steps(4, 4);
  const std::vector<float> more = device.Predict(1);
  EXPECT_EQ(trainer.EndEpoch(), Status::kCommitFailed);
  EXPECT_EQ(trainer.Enrol("new", nullptr), Status::kStoreFailed);
  EXPECT_TRUE(SameBits(more, device.Predict(1)));
  // The next start finds the new weights, and uses them: they are whole.
  TestDevice restarted(model, &flash);
  EXPECT_EQ(restarted.trainer.Begin(), Status::kStoreFailed);
  EXPECT_EQ(restarted.trainer.store_status(), StoreStatus::kNotClosed);
  ASSERT_TRUE(restarted.trainer.is_ready());
  EXPECT_TRUE(SameBits(learned, restarted.Predict(1)));
  EXPECT_EQ(restarted.trainer.step().epochs(), 1u) << "progress is known all the same";
  EXPECT_EQ(restarted.trainer.Reset(), Status::kOk) << "in other pages";
}

TEST(TrainerFaults, AfterAFailedWeightPageNothingIsPredicted) {
  const Act acts[] = {[](TestDevice* device) { return device->trainer.EndEpoch(); },
                      [](TestDevice* device) { return device->trainer.Commit(); },
                      [](TestDevice* device) { return device->trainer.Enrol("new", nullptr); },
                      [](TestDevice* device) { return device->trainer.Reset(); }};
  for (const Act& act : acts) {
    const TestModel model(2);
    MappedFlash flash(model);
    TestDevice device(model, &flash);
    ASSERT_EQ(device.trainer.Begin(), Status::kOk);
    device.Steps(0, 4);
    SetFault(Fault::kWrite, MappedFlash::kWeightsPage + 1, true, &flash.fake);
    EXPECT_EQ(act(&device), Status::kStoreFailed);
    EXPECT_EQ(device.trainer.store_status(), StoreStatus::kWeightsFailed);
    EXPECT_FALSE(device.trainer.is_ready());
    float scores[kOutputs];
    EXPECT_EQ(device.trainer.Predict(Sample(0).data(), scores), Status::kStoreFailed);
    EXPECT_EQ(device.trainer.Reset(), Status::kStoreFailed);
    SetFault(Fault::kWrite, MappedFlash::kWeightsPage + 1, false, &flash.fake);
    EXPECT_EQ(device.trainer.Begin(), Status::kOk) << "what failed is in the journal";
    EXPECT_TRUE(device.trainer.is_ready());
  }
}

// A start that finds a commit half in place, and cannot go on: old and new weights are mixed.
TEST(TrainerFaults, WeightsThatAreHalfInPlaceAreNotUsed) {
  const TestModel model;
  MappedFlash flash(model);
  TestDevice device(model, &flash);
  ASSERT_EQ(device.trainer.Begin(), Status::kOk);
  device.Steps(0, 4);
  MappedFlash probe = flash;
  TestDevice other(model, &probe);
  ASSERT_EQ(other.trainer.Begin(), Status::kOk);
  other.Steps(0, 4);
  const uint64_t first = probe.fake.operations();
  ASSERT_EQ(other.trainer.EndEpoch(), Status::kOk);
  const uint64_t operations = probe.fake.operations() - first;
  flash.fake.CutAt(operations - 500);  // Amid the second weight page.
  device.trainer.EndEpoch();
  ASSERT_TRUE(flash.fake.is_cut());
  flash.fake.Restart();
  for (uint32_t i = 0; i < MappedFlash::kJournalPages; ++i) {
    flash.fake.FailWrite(MappedFlash::kJournalPage + i, true);
  }
  TestDevice restarted(model, &flash);
  EXPECT_EQ(restarted.trainer.Begin(), Status::kStoreFailed);
  EXPECT_EQ(restarted.trainer.store_status(), StoreStatus::kNotClosed);
  EXPECT_FALSE(restarted.trainer.is_ready());
  for (uint32_t i = 0; i < MappedFlash::kJournalPages; ++i) {
    flash.fake.FailWrite(MappedFlash::kJournalPage + i, false);
  }
  EXPECT_EQ(restarted.trainer.Begin(), Status::kOk);
  EXPECT_TRUE(restarted.trainer.is_ready());
  EXPECT_TRUE(SameBits(flash.mapped(), probe.mapped()));
}

}  // namespace
}  // namespace medyate
