// Power cuts at every operation of the weight store. See fake_flash.h for what a cut leaves behind.

#include <stdlib.h>

#include <algorithm>

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/weight_store_world.h"

namespace medyate {
namespace {

// What one commit, cut off, came to.
struct Outcome {
  int cuts = 0;
  bool is_new = false;
};

void Recover(World* world, int most_cuts, int* cuts) { world->Recover(most_cuts, 300, cuts); }

bool CheckEpoch(World* world, const Work& work, uint32_t old_counter) {
  return world->CheckEpoch(world->After(work), work.counter, old_counter, world->BulkAfter(work));
}

// Commits with a cut at operation `at`, recovers, checks, and commits twice more.
Outcome CutOnce(World world, const Work& work, uint32_t old_counter, uint64_t at, int more_cuts) {
  Outcome outcome;
  WeightStore store = world.Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  world.flash.CutAt(at);
  const StoreStatus status = world.Commit(&store, work);
  outcome.cuts = world.flash.is_cut() ? 1 : 0;
  EXPECT_TRUE(status == StoreStatus::kOk || outcome.cuts > 0) << status;
  Recover(&world, more_cuts, &outcome.cuts);
  outcome.is_new = CheckEpoch(&world, work, old_counter);
  EXPECT_TRUE(outcome.is_new || status != StoreStatus::kOk);
  WeightStore next = world.Start();
  EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
  for (int i = 0; i < 2; ++i) {
    const Work more = world.DrawWork(static_cast<uint32_t>(world.random.Int(1, 3)));
    EXPECT_EQ(world.Commit(&next, more), StoreStatus::kOk);
    world.TakeOver(more);
    EXPECT_TRUE(world.Holds(world.weights));
  }
  ExpectRulesKept(world);
  return outcome;
}

// Starts a device that was cut in a commit of `work`, and cuts it again at operation `second`: of
// the recovery, or if that has fewer operations, of another commit. A third start sets things
// right. Returns how many cuts.
int CutAgain(World device, const Work& work, uint32_t old_counter, uint64_t second,
             uint32_t next_pages) {
  int cuts = 1;
  device.flash.CutAt(second);
  WeightStore again = device.Start();
  const StoreStatus status = again.Open(ForeignState::kRefuse);
  if (device.flash.is_cut()) {
    Recover(&device, 1, &cuts);
    CheckEpoch(&device, work, old_counter);
  } else {
    EXPECT_EQ(status, StoreStatus::kOk);
    const bool is_new = !device.Holds(device.weights);
    if (is_new) device.TakeOver(work);
    EXPECT_TRUE(device.Holds(device.weights));
    const Work next = device.DrawWork(next_pages);
    device.flash.CutAt(second);
    device.Commit(&again, next);
    Recover(&device, 1, &cuts);
    CheckEpoch(&device, next, is_new ? work.counter : old_counter);
  }
  EXPECT_EQ(device.flash.written_twice(), 0);
  EXPECT_EQ(device.flash.written_unstable(), 0);
  return cuts;
}

// With bulk data of no page, one, two.
Plan PlanOf(uint32_t seed) {
  const uint32_t words[] = {0, 20, kPageFloats + 10};
  return Plan().WithBulk(words[seed % 3]);
}

World UsedWorld(const Plan& plan, uint32_t seed, int commits, uint32_t most_pages,
                uint32_t* counter) {
  return UsedWorld(plan, seed, commits, counter,
                   [most_pages](World* world) { return world->DrawWork(most_pages); });
}

// Every other operation of each commit is cut once, of commits in turn the even and the odd ones
// (by night all); in three of four cases the recovery is cut, too, up to three times. A cut in the
// first half leaves the old epoch, so that both outcomes are frequent.
TEST(WeightStoreCutsTest, AnywhereInACommitLeavesOldOrNew) {
  const uint64_t stride = getenv("MEDYATE_NIGHTLY") ? 1 : 2;
  int cuts = 0, old = 0, fresh = 0;
  for (uint32_t seed = 0; seed < 9; ++seed) {
    uint32_t counter = 0;
    const World world = UsedWorld(PlanOf(seed), 100 * seed, static_cast<int>(seed), 4, &counter);
    const Work work = World(world).DrawWork(1 + seed % 5);
    const uint64_t operations = OperationsOf(world, work);
    for (uint64_t at = seed % stride; at < operations && !HasFailure(); at += stride) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " operation " << at);
      World device = world;
      device.Reseed(static_cast<uint32_t>(1000 * seed + at));
      const Outcome outcome = CutOnce(device, work, counter, at, static_cast<int>(at / stride % 4));
      cuts += outcome.cuts;
      ++(outcome.is_new ? fresh : old);
    }
  }
  EXPECT_GE(cuts, 5000);
  EXPECT_GT(old, 1000);
  EXPECT_GT(fresh, 1000);
  printf("%d cuts: %d left the old epoch, %d the new one\n", cuts, old, fresh);
}

// The marks are where a protocol breaks: there is nothing to compare them with. Each operation
// outside the pages' bulk is cut, and then each of the first operations after the next start.
TEST(WeightStoreCutsTest, AnywhereAroundTheMarksLeavesOldOrNew) {
  const uint64_t kFirstOperations = 40;  // Up to the bulk of a page.
  int cuts = 0;
  for (uint32_t seed = 0; seed < 2; ++seed) {
    uint32_t counter = 0;
    const World world = UsedWorld(PlanOf(seed % 2), 7000 + seed, 3, 4, &counter);
    const Work work = World(world).DrawWork(1);
    const uint64_t operations = OperationsOf(world, work);
    // One image, one weight page; the rest is head and marks.
    for (uint64_t at = kPageFloats; at < operations - kPageFloats && !HasFailure(); ++at) {
      for (uint64_t second = 0; second < kFirstOperations && !HasFailure(); ++second) {
        SCOPED_TRACE(testing::Message()
                     << "seed " << seed << " operation " << at << " then " << second);
        World device = world;
        device.Reseed(static_cast<uint32_t>(100000 * seed + 100 * at + second));
        cuts += 1 + CutAgain(CutDevice(device, work, at), work, counter, second, 2);
      }
    }
  }
  printf("%d cuts\n", cuts);
}

// A mark of which all but one bit was written, and that bit reads as it likes: once as a mark, then
// not, then as one again. In a journal so small that the next commit overwrites all images.
TEST(WeightStoreCutsTest, InsideAMarkLeavesOldOrNewHoweverItReads) {
  Plan plan;
  plan.journal_pages = 5;
  uint32_t counter = 0;
  World world = UsedWorld(plan, 8000, 6, 3, &counter);
  Work work;
  work.pool = world.random.Floats(3 * kPageFloats);
  work.runs = {{0, kPageFloats, 3 * kPageFloats}};
  work.counter = 1234;
  world.flash.TearWordsAs(FakeFlash::Tear::kAllButOneBit);
  const uint64_t operations = OperationsOf(world, work);
  // The last operations: two commit marks, two of the next head, a note, three pages, two done
  // marks; two words each.
  const uint64_t done = operations - 4, commit = done - 3 * (1 + kPageFloats) - 2 - 4 - 4;
  int cuts = 0;
  for (uint64_t at : {commit, commit + 1, commit + 2, commit + 4, done, done + 1, done + 3}) {
    for (uint32_t luck = 0; luck < 240 && !HasFailure(); ++luck) {
      // The first operations one by one, then here and there in all of a recovery or a commit.
      const uint64_t second = luck < 120 ? luck % 40 : 37 + 9 * (luck - 120) % 1100;
      SCOPED_TRACE(testing::Message()
                   << "operation " << at - commit << " after the commit, then " << second);
      World device = world;
      device.Reseed(luck);
      cuts += 1 + CutAgain(CutDevice(device, work, at), work, counter, second, 3);
    }
  }
  printf("%d cuts\n", cuts);
}

// A long life: commits, cuts anywhere, other commits right after.
TEST(WeightStoreCutsTest, ALifeOfCutsLosesNothing) {
  int cuts = 0;
  for (uint32_t seed = 0; seed < 6; ++seed) {
    Plan plan;
    plan.journal_pages = 4 + 2 * seed;
    const uint32_t most = std::min(plan.weight_pages, plan.journal_pages - 2);
    plan = plan.WithBulk(seed % 2 == 1 ? 190 : 0);
    World world(plan, 500 + seed);
    uint32_t counter = 0;
    for (int life = 0; life < 400 && !HasFailure(); ++life) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " life " << life);
      // There is nowhere to note the erases of the very first head.
      Recover(&world, life == 0 ? 0 : world.random.Int(0, 2), &cuts);
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      const Work work =
          world.DrawWork(static_cast<uint32_t>(world.random.Int(1, static_cast<int>(most))));
      world.flash.CutAt(static_cast<uint64_t>(world.random.Int(0, 1500)));
      world.Commit(&store, work);
      cuts += world.flash.is_cut() ? 1 : 0;
      Recover(&world, world.random.Int(0, 3), &cuts);
      if (CheckEpoch(&world, work, counter)) counter = work.counter;
      // No erase goes uncounted, but for one with a note that a cut tore.
      WeightStore next = world.Start();
      ASSERT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
      const std::vector<uint32_t> real = world.Erases();
      const uint32_t* counts = next.EraseCounts();
      for (size_t i = 0; i < real.size(); ++i) {
        EXPECT_GE(counts[i], real[i]) << i;
        EXPECT_LE(counts[i], real[i] + static_cast<uint32_t>(cuts)) << i;
      }
    }
    ExpectRulesKept(world);
  }
  EXPECT_GT(cuts, 1000);
}

// The journal's very beginning, and the new start after a model update.
TEST(WeightStoreCutsTest, AnywhereInTheBeginningOnlyDelaysIt) {
  for (uint64_t at = 0; at < 80; ++at) {
    World world(Plan(), static_cast<uint32_t>(900 + at));
    world.flash.CutAt(at);
    WeightStore store = world.Start();
    store.Open(ForeignState::kRefuse);
    int cuts = 0;
    Recover(&world, 3, &cuts);
    EXPECT_TRUE(CheckEpoch(&world, Work(), 0) == false);
    WeightStore next = world.Start();
    EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
    EXPECT_EQ(next.sequence(), 1u);
    EXPECT_EQ(world.flash.written_unstable(), 0);
  }
}

TEST(WeightStoreCutsTest, AnywhereInAModelUpdateNeverMixes) {
  for (uint32_t seed = 0; seed < 3; ++seed) {
    uint32_t counter = 0;
    World world = UsedWorld(Plan(), 300 + seed, 4, 3, &counter);
    if (seed > 0) {  // The update comes on top of a commit that was cut in the middle.
      const Work work = world.DrawWork(3);
      WeightStore store = world.Start();
      EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      world.flash.CutAt(OperationsOf(world, work) - 200);
      world.Commit(&store, work);
      EXPECT_TRUE(world.flash.is_cut());
      world.flash.Restart();
    }
    world.weights = world.random.Floats(static_cast<int>(world.weights.size()));
    world.flash.Program(world.config.weights_offset, World::Words(world.weights));
    if (seed < 2) world.config.model_hash[1] ^= 0x100;
    for (uint64_t at = 0; at < 80 && !HasFailure(); ++at) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " operation " << at);
      World device = world;
      device.Reseed(static_cast<uint32_t>(at));
      device.flash.CutAt(at);
      WeightStore store = device.Start();
      store.Open(ForeignState::kDropLearned);
      EXPECT_TRUE(device.Holds(device.weights));
      device.flash.Restart();
      WeightStore next = device.Start();
      EXPECT_EQ(next.Open(ForeignState::kDropLearned), StoreStatus::kOk);
      EXPECT_EQ(World::Counter(next), 0u);
      EXPECT_FALSE(CheckEpoch(&device, Work(), 0));
    }
  }
}

// The same model is flashed again after a commit was cut off anywhere: only a commit of every page
// that had its mark is completed. All else is refused, until what was learned is dropped.
TEST(WeightStoreCutsTest, TheSameImageInTheMiddleOfACommitIsNeverMixed) {
  for (const bool changes_all : {false, true}) {
    World base(Plan(), 340);
    const std::vector<float> factory = base.weights;
    base.config.has_factory_crc = true;
    base.config.factory_crc = Crc32(0, factory.data(), 4 * factory.size());
    {
      WeightStore store = base.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      const Work first = base.DrawWork(2);
      ASSERT_EQ(base.Commit(&store, first), StoreStatus::kOk);
      base.TakeOver(first);
    }
    Work work = base.DrawWork(2);
    if (changes_all) {
      const uint32_t floats = static_cast<uint32_t>(factory.size());
      work.runs = {{0, 0, floats}};
      work.pool = base.random.Floats(static_cast<int>(floats));
    }
    const std::vector<float> after = base.After(work);
    const uint64_t operations = OperationsOf(base, work);
    int completed = 0;
    for (uint64_t at = 0; at < operations && !HasFailure(); at += 7) {
      SCOPED_TRACE(testing::Message() << changes_all << " operation " << at);
      World world = base;
      world.Reseed(static_cast<uint32_t>(at));
      {
        WeightStore store = world.Start();
        ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
        world.flash.CutAt(at);
        world.Commit(&store, work);
        world.flash.Restart();
      }
      world.flash.Program(world.config.weights_offset, World::Words(factory));
      WeightStore store = world.Start();
      const StoreStatus found = store.Open(ForeignState::kRefuse);
      if (found == StoreStatus::kOk) {
        ++completed;
        EXPECT_TRUE(world.Holds(after));
        EXPECT_EQ(World::Counter(store), work.counter);
        continue;
      }
      EXPECT_EQ(found, StoreStatus::kWeightsChanged);
      EXPECT_TRUE(world.Holds(factory));
      WeightStore next = world.Start();
      EXPECT_EQ(next.Open(ForeignState::kDropLearned), StoreStatus::kOk);
      EXPECT_TRUE(world.Holds(factory));
      EXPECT_EQ(World::Counter(next), 0u);
    }
    EXPECT_EQ(completed > 0, changes_all);
  }
}

// Recoveries of one commit are counted as long as its head has room for notes. Those after that
// are not: the count is too low by one each.
TEST(WeightStoreCutsTest, RecoveriesOfOneCommitAreCountedWhileThereIsRoomForNotes) {
  const int kLeastNotes = 8;
  for (const int most_cuts : {kLeastNotes - 2, 300}) {
    World world(Plan(), 350);
    {
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      const Work work = world.DrawWork(3);
      world.flash.CutAt(OperationsOf(world, work) - 200);  // While pages are put in place.
      world.Commit(&store, work);
      ASSERT_TRUE(world.flash.is_cut());
      world.flash.Restart();
    }
    int cuts = 0;
    world.Recover(most_cuts, 60, &cuts);
    ASSERT_GT(cuts, most_cuts / 2);
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    const std::vector<uint32_t> real = world.Erases();
    const uint32_t* counts = store.EraseCounts();
    uint32_t missed = 0;
    for (uint32_t p = 0; p < world.plan.weight_pages; ++p) {
      if (real[p] > counts[p]) missed = std::max(missed, real[p] - counts[p]);
    }
    EXPECT_LE(missed, static_cast<uint32_t>(std::max(0, cuts - kLeastNotes)));
    EXPECT_EQ(missed > 0, most_cuts > kLeastNotes);
  }
}

}  // namespace
}  // namespace medyate
