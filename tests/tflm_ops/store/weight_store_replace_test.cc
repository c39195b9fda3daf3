// All weights replaced by words that come in parts: right, refused, given up, cut off anywhere.

#include <algorithm>
#include <limits>

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/weight_store_world.h"

namespace medyate {
namespace {

// What the weights shall be replaced by.
struct Fresh {
  std::vector<float> weights;
  uint32_t counter = 0;
  std::vector<uint32_t> bulk;
};

Fresh Draw(World* world) {
  Fresh fresh;
  fresh.weights = world->random.Floats(static_cast<int>(world->plan.weight_pages * kPageFloats));
  fresh.counter = static_cast<uint32_t>(world->random.Int(1, 1 << 30));
  fresh.bulk = world->DrawBulk(world->plan.bulk_words);
  return fresh;
}

// Hands over the first so many words, in parts of any size.
StoreStatus Send(World* world, WeightStore* store, const Fresh& fresh, uint32_t words) {
  const std::vector<uint32_t> all = World::Words(fresh.weights);
  for (uint32_t at = 0; at < words;) {
    const uint32_t most = static_cast<uint32_t>(world->random.Int(1, 200));
    const uint32_t part = std::min(most, words - at);
    const StoreStatus status = store->Replace(all.data() + at, part);
    if (status != StoreStatus::kOk) return status;
    at += part;
  }
  return StoreStatus::kOk;
}

StoreStatus ReplaceAll(World* world, WeightStore* store, const Fresh& fresh) {
  StoreStatus status = store->BeginReplace();
  if (status != StoreStatus::kOk) return status;
  status = Send(world, store, fresh, static_cast<uint32_t>(fresh.weights.size()));
  if (status != StoreStatus::kOk) return status;
  const RecordChange record = {"counter", &fresh.counter, sizeof(fresh.counter)};
  const Bulk bulk = {fresh.bulk.data(), static_cast<uint32_t>(fresh.bulk.size())};
  return store->FinishReplace(&record, 1, &bulk);
}

// A replacement that ends somewhere before its end.
void GiveUp(World* world, WeightStore* store) {
  if (store->BeginReplace() != StoreStatus::kOk) return;
  const Fresh fresh = Draw(world);
  const int all = static_cast<int>(fresh.weights.size());
  Send(world, store, fresh, static_cast<uint32_t>(world->random.Int(0, all)));
}

WeightStore Opened(World* world) {
  WeightStore store = world->Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  return store;
}

void CommitMore(World* world, WeightStore* store, int commits) {
  for (int i = 0; i < commits; ++i) {
    const Work work = world->DrawWork(static_cast<uint32_t>(world->random.Int(1, 4)));
    ASSERT_EQ(world->Commit(store, work), StoreStatus::kOk);
    world->TakeOver(work);
    ASSERT_TRUE(world->Holds(world->weights));
  }
}

TEST(WeightStoreReplaceTest, ReplacesAllWeightsAndRecords) {
  World world(Plan(), 1);
  WeightStore store = Opened(&world);
  for (int round = 0; round < 6; ++round) {
    CommitMore(&world, &store, round);
    const Fresh fresh = Draw(&world);
    ASSERT_EQ(ReplaceAll(&world, &store, fresh), StoreStatus::kOk);
    EXPECT_TRUE(world.Holds(fresh.weights));
    EXPECT_EQ(World::Counter(store), fresh.counter);
    EXPECT_EQ(store.detail().images, world.plan.weight_pages);
    world.weights = fresh.weights, world.bulk = fresh.bulk;
    WeightStore next = Opened(&world);
    EXPECT_TRUE(world.Holds(fresh.weights));
    EXPECT_EQ(World::Counter(next), fresh.counter);
    EXPECT_EQ(next.sequence(), store.sequence());
  }
  ExpectRulesKept(world);
}

TEST(WeightStoreReplaceTest, KeepsRecordsThatNobodyNames) {
  World world(Plan(), 2);
  WeightStore store = Opened(&world);
  const uint32_t name = 0x12345678u;
  const RecordChange record = {"class/5", &name, sizeof(name)};
  ASSERT_EQ(store.Commit({nullptr, nullptr, 0, &record, 1, nullptr}), StoreStatus::kOk);
  ASSERT_EQ(ReplaceAll(&world, &store, Draw(&world)), StoreStatus::kOk);
  uint32_t there = 0, bytes = 0;
  EXPECT_TRUE(store.ReadRecord("class/5", &there, sizeof(there), &bytes));
  EXPECT_EQ(there, name);
}

TEST(WeightStoreReplaceTest, NothingCountsBeforeTheEnd) {
  World world(Plan(), 3);
  WeightStore store = Opened(&world);
  CommitMore(&world, &store, 3);
  const uint32_t counter = World::Counter(store), sequence = store.sequence();
  const Fresh fresh = Draw(&world);
  ASSERT_EQ(store.BeginReplace(), StoreStatus::kOk);
  ASSERT_EQ(Send(&world, &store, fresh, 5 * kPageFloats), StoreStatus::kOk);
  EXPECT_EQ(World::Counter(store), counter);
  EXPECT_EQ(store.sequence(), sequence);
  EXPECT_TRUE(world.Holds(world.weights));
  Opened(&world);
  EXPECT_TRUE(world.Holds(world.weights));
}

TEST(WeightStoreReplaceTest, RefusesWhatIsNotFinite) {
  const float bad[] = {std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity(),
                       std::numeric_limits<float>::quiet_NaN()};
  World world(Plan(), 4);
  WeightStore store = Opened(&world);
  for (float value : bad) {
    for (size_t at : {size_t{0}, size_t{300}, world.weights.size() - 1}) {
      Fresh fresh = Draw(&world);
      fresh.weights[at] = value;
      EXPECT_EQ(ReplaceAll(&world, &store, fresh), StoreStatus::kNotFinite);
      const RecordChange record = {"counter", &fresh.counter, sizeof(fresh.counter)};
      EXPECT_EQ(store.FinishReplace(&record, 1, nullptr), StoreStatus::kBadRuns)
          << "it is given up";
      EXPECT_TRUE(world.Holds(world.weights));
    }
  }
  CommitMore(&world, &store, 2);
  ExpectRulesKept(world);
}

TEST(WeightStoreReplaceTest, RefusesTooFewAndTooManyWords) {
  World world(Plan(), 5);
  WeightStore store = Opened(&world);
  const Fresh fresh = Draw(&world);
  const uint32_t all = static_cast<uint32_t>(fresh.weights.size()), one = 0;
  EXPECT_EQ(store.Replace(&one, 1), StoreStatus::kBadRuns) << "not begun";
  EXPECT_EQ(store.FinishReplace(nullptr, 0, nullptr), StoreStatus::kBadRuns) << "not begun";
  ASSERT_EQ(store.BeginReplace(), StoreStatus::kOk);
  ASSERT_EQ(Send(&world, &store, fresh, all - 1), StoreStatus::kOk);
  EXPECT_EQ(store.FinishReplace(nullptr, 0, nullptr), StoreStatus::kBadRuns);
  ASSERT_EQ(store.BeginReplace(), StoreStatus::kOk);
  ASSERT_EQ(Send(&world, &store, fresh, all), StoreStatus::kOk);
  EXPECT_EQ(store.Replace(&one, 1), StoreStatus::kBadRuns);
  EXPECT_EQ(store.FinishReplace(nullptr, 0, nullptr), StoreStatus::kBadRuns);
  EXPECT_TRUE(world.Holds(world.weights));
}

TEST(WeightStoreReplaceTest, RefusesWhatDoesNotFit) {
  Plan plan;
  plan.journal_pages = 6;  // Five images, a head, and the last head would be seven.
  World world(plan, 6);
  WeightStore store = Opened(&world);
  const uint64_t before = world.flash.operations();
  EXPECT_EQ(store.BeginReplace(), StoreStatus::kJournalTooSmall);
  EXPECT_EQ(store.detail().journal_bytes, 7 * kPageBytes);
  EXPECT_EQ(world.flash.operations(), before);
  World roomy(Plan(), 7);
  WeightStore other = Opened(&roomy);
  const Fresh fresh = Draw(&roomy);
  const std::vector<uint8_t> data(kPageBytes);
  const RecordChange too_long = {"much", data.data(), kPageBytes}, nameless = {"", data.data(), 4};
  for (const RecordChange& record : {too_long, nameless}) {
    ASSERT_EQ(other.BeginReplace(), StoreStatus::kOk);
    ASSERT_EQ(Send(&roomy, &other, fresh, 5 * kPageFloats), StoreStatus::kOk);
    const bool is_long = record.bytes == kPageBytes;
    EXPECT_EQ(other.FinishReplace(&record, 1, nullptr),
              is_long ? StoreStatus::kHeadFull : StoreStatus::kBadRecord);
    EXPECT_TRUE(roomy.Holds(roomy.weights));
    // A head that is full may be tried again with less.
    EXPECT_EQ(other.FinishReplace(nullptr, 0, nullptr),
              is_long ? StoreStatus::kOk : StoreStatus::kBadRuns);
    EXPECT_TRUE(roomy.Holds(is_long ? fresh.weights : roomy.weights));
    if (is_long) roomy.weights = fresh.weights;
  }
  WeightStore closed = roomy.Start();
  EXPECT_EQ(closed.BeginReplace(), StoreStatus::kNotOpen);
  EXPECT_EQ(closed.Replace(nullptr, 0), StoreStatus::kNotOpen);
  EXPECT_EQ(closed.FinishReplace(nullptr, 0, nullptr), StoreStatus::kNotOpen);
}

TEST(WeightStoreReplaceTest, AWornOutPageIsRefusedBeforeAnythingIsWritten) {
  World world(Plan(), 8);
  world.config.cycle_limit = 3;
  WeightStore store = Opened(&world);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ReplaceAll(&world, &store, Draw(&world)), StoreStatus::kOk);
  const uint64_t before = world.flash.operations();
  EXPECT_EQ(store.BeginReplace(), StoreStatus::kWornOut);
  EXPECT_EQ(world.flash.operations(), before);
}

// A commit, another replacement and a start end the one that was going on; its words never count.
TEST(WeightStoreReplaceTest, WhatWasGivenUpDoesNoHarm) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    World world(Plan(), 100 + seed);
    WeightStore store = Opened(&world);
    CommitMore(&world, &store, static_cast<int>(seed % 7));
    GiveUp(&world, &store);
    if (seed % 3 == 0) CommitMore(&world, &store, 1);
    if (seed % 3 == 1) Opened(&world);
    EXPECT_TRUE(world.Holds(world.weights));
    if (seed % 3 == 0) {
      EXPECT_EQ(store.FinishReplace(nullptr, 0, nullptr), StoreStatus::kBadRuns);
    }
    WeightStore next = Opened(&world);
    const Fresh fresh = Draw(&world);
    ASSERT_EQ(ReplaceAll(&world, &next, fresh), StoreStatus::kOk);
    EXPECT_TRUE(world.Holds(fresh.weights));
    world.weights = fresh.weights, world.bulk = fresh.bulk;
    CommitMore(&world, &next, 3);
    ExpectRulesKept(world);
  }
}

// All words are there, but their pages are another transaction's by now.
TEST(WeightStoreReplaceTest, ACommitEndsAReplacementThatIsComplete) {
  World world(Plan(), 9);
  WeightStore store = Opened(&world);
  ASSERT_EQ(store.BeginReplace(), StoreStatus::kOk);
  ASSERT_EQ(Send(&world, &store, Draw(&world), 5 * kPageFloats), StoreStatus::kOk);
  CommitMore(&world, &store, 1);
  const uint64_t before = world.flash.operations();
  EXPECT_EQ(store.FinishReplace(nullptr, 0, nullptr), StoreStatus::kBadRuns);
  EXPECT_EQ(world.flash.operations(), before);
  EXPECT_TRUE(world.Holds(world.weights));
}

// --- cuts

void Recover(World* world, int most_cuts, int* cuts) { world->Recover(most_cuts, 900, cuts); }

bool CheckEpoch(World* world, const Fresh& fresh, uint32_t old_counter) {
  return world->CheckEpoch(fresh.weights, fresh.counter, old_counter, fresh.bulk);
}

// A device that has seen commits, and perhaps a replacement that was given up.
World UsedWorld(uint32_t seed, uint32_t* counter, const Plan& plan = Plan()) {
  World world(plan, seed);
  WeightStore store = Opened(&world);
  const uint32_t most = std::min(plan.weight_pages, plan.journal_pages - 2);
  for (uint32_t i = 0; i < 1 + seed % 5; ++i) {
    const Work work = world.DrawWork(most);
    EXPECT_EQ(world.Commit(&store, work), StoreStatus::kOk);
    world.TakeOver(work);
  }
  if (seed % 2 == 1) GiveUp(&world, &store);
  *counter = World::Counter(store);
  return world;
}

uint64_t OperationsOf(World world, const Fresh& fresh) {
  WeightStore store = Opened(&world);
  const uint64_t before = world.flash.operations();
  EXPECT_EQ(ReplaceAll(&world, &store, fresh), StoreStatus::kOk);
  return world.flash.operations() - before;
}

// Each operation is cut once; in three of four cases the recovery, too, up to three times. After it
// a replacement is given up, and commits work.
TEST(WeightStoreReplaceTest, CutAnywhereItLeavesOldOrNew) {
  int cuts = 0, old = 0, fresh_epochs = 0;
  for (uint32_t seed = 0; seed < 3; ++seed) {
    uint32_t counter = 0;
    const World world = UsedWorld(seed, &counter, Plan().WithBulk(20 * seed));
    World chance = world;
    const Fresh fresh = Draw(&chance);
    const uint64_t operations = OperationsOf(world, fresh);
    for (uint64_t at = 0; at < operations && !HasFailure(); ++at) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " operation " << at);
      World device = world;
      device.Reseed(static_cast<uint32_t>(1000 * seed + at));
      WeightStore store = Opened(&device);
      device.flash.CutAt(at);
      const StoreStatus status = ReplaceAll(&device, &store, fresh);
      ASSERT_TRUE(device.flash.is_cut());
      ++cuts;
      Recover(&device, static_cast<int>(at % 4), &cuts);
      const bool is_new = CheckEpoch(&device, fresh, counter);
      EXPECT_TRUE(is_new || status != StoreStatus::kOk);
      ++(is_new ? fresh_epochs : old);
      WeightStore next = Opened(&device);
      GiveUp(&device, &next);
      CommitMore(&device, &next, 2);
      ExpectRulesKept(device);
    }
  }
  EXPECT_GT(old, 1000);
  EXPECT_GT(fresh_epochs, 1000);
  printf("%d cuts: %d left the old epoch, %d the new one\n", cuts, old, fresh_epochs);
}

// Around and inside the marks, of which all but one bit was written, and again at each of the first
// operations of the next start or of the replacement after it.
TEST(WeightStoreReplaceTest, CutAroundItsMarksItLeavesOldOrNew) {
  Plan plan;
  plan.journal_pages = 7;  // The next replacement overwrites all images of this one.
  int cuts = 0;
  uint32_t counter = 0;
  World world = UsedWorld(11, &counter, plan);
  const Fresh fresh = Draw(&world), next = Draw(&world);
  world.flash.TearWordsAs(FakeFlash::Tear::kAllButOneBit);
  const uint64_t operations = OperationsOf(world, fresh);
  // The last operations: two commit marks, two of the next head, a note, five pages, two done
  // marks; two words each.
  const uint64_t done = operations - 4, commit = done - 5 * (1 + kPageFloats) - 2 - 4 - 4;
  for (uint64_t at : {commit, commit + 1, commit + 2, done, done + 1, done + 3}) {
    for (uint32_t luck = 0; luck < 280 && !HasFailure(); ++luck) {
      const uint64_t second = luck < 120 ? luck % 40 : 37 + 12 * (luck - 120);
      SCOPED_TRACE(testing::Message() << "operation " << at - commit << " then " << second);
      World device = world;
      device.Reseed(luck);
      WeightStore store = Opened(&device);
      device.flash.CutAt(at);
      ReplaceAll(&device, &store, fresh);
      ASSERT_TRUE(device.flash.is_cut());
      device.flash.Restart();
      device.flash.CutAt(second);
      WeightStore again = device.Start();
      const StoreStatus status = again.Open(ForeignState::kRefuse);
      cuts += 2;
      if (device.flash.is_cut()) {
        Recover(&device, 1, &cuts);
        CheckEpoch(&device, fresh, counter);
        continue;
      }
      EXPECT_EQ(status, StoreStatus::kOk);
      const bool is_new = !device.Holds(device.weights);
      if (is_new) device.weights = fresh.weights, device.bulk = fresh.bulk;
      EXPECT_TRUE(device.Holds(device.weights));
      device.flash.CutAt(second);
      ReplaceAll(&device, &again, next);
      Recover(&device, 1, &cuts);
      CheckEpoch(&device, next, is_new ? fresh.counter : counter);
      ExpectRulesKept(device);
    }
  }
  printf("%d cuts\n", cuts);
}

// Replacements, some of them given up, and commits, in any order, with cuts anywhere. No erase goes
// uncounted but for one with a note that a cut tore.
TEST(WeightStoreReplaceTest, ALifeOfCutsLosesNothing) {
  int cuts = 0;
  for (uint32_t seed = 0; seed < 4; ++seed) {
    Plan plan;
    plan.journal_pages = 7 + 2 * seed;
    World world(plan.WithBulk(90 * seed), 700 + seed);
    uint32_t counter = 0;
    for (int life = 0; life < 400 && !HasFailure(); ++life) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " life " << life);
      Recover(&world, world.random.Int(0, 2), &cuts);
      WeightStore store = Opened(&world);
      world.flash.CutAt(static_cast<uint64_t>(world.random.Int(0, 2000)));
      if (world.random.Int(0, 1) == 1) GiveUp(&world, &store);
      Fresh fresh = Draw(&world);
      if (world.random.Int(0, 1) == 1) {
        const Work work = world.DrawWork(3);
        fresh = {world.After(work), work.counter, world.BulkAfter(work)};
        world.Commit(&store, work);
      } else {
        ReplaceAll(&world, &store, fresh);
      }
      cuts += world.flash.is_cut() ? 1 : 0;
      Recover(&world, world.random.Int(0, 3), &cuts);
      if (CheckEpoch(&world, fresh, counter)) counter = fresh.counter;
      WeightStore next = Opened(&world);
      const std::vector<uint32_t> real = world.Erases();
      const uint32_t* counts = next.EraseCounts();
      for (size_t i = 0; i < real.size(); ++i) EXPECT_GE(counts[i], real[i]) << i;
    }
    ExpectRulesKept(world);
  }
  EXPECT_GT(cuts, 500);
  printf("%d cuts\n", cuts);
}

// --- faults

TEST(WeightStoreReplaceTest, AFailingJournalPageLeavesTheOldEpoch) {
  for (int fault = 0; fault < 3; ++fault) {
    for (uint32_t at = 0; at < 6; ++at) {  // Head, then the images.
      World world(Plan(), 20 + at);
      WeightStore store = Opened(&world);
      const uint32_t bad = world.plan.journal_page() + 1 + at;
      world.flash.FailErase(bad, fault == 0);
      world.flash.FailWrite(bad, fault == 1);
      if (fault == 2) world.flash.StickAtOne(bad * kPageBytes + 8, 0xffffffffu);
      const Fresh fresh = Draw(&world);
      EXPECT_EQ(ReplaceAll(&world, &store, fresh), StoreStatus::kJournalFailed);
      EXPECT_EQ(store.detail().failed_offset, bad * kPageBytes);
      EXPECT_TRUE(world.Holds(world.weights));
      WeightStore next = Opened(&world);
      EXPECT_TRUE(world.Holds(world.weights));
      world.flash.FailErase(bad, false);
      world.flash.FailWrite(bad, false);
      world.flash.StickAtOne(bad * kPageBytes + 8, 0);
      EXPECT_EQ(ReplaceAll(&world, &next, fresh), StoreStatus::kOk);
      EXPECT_TRUE(world.Holds(fresh.weights));
    }
  }
}

TEST(WeightStoreReplaceTest, AFailingWeightPageKeepsTheNewEpochInTheJournal) {
  World world(Plan(), 30);
  WeightStore store = Opened(&world);
  const uint32_t bad = world.plan.weights_page() + 2;
  world.flash.FailErase(bad, true);
  const Fresh fresh = Draw(&world);
  EXPECT_EQ(ReplaceAll(&world, &store, fresh), StoreStatus::kWeightsFailed);
  EXPECT_EQ(store.detail().failed_offset, bad * kPageBytes);
  EXPECT_EQ(store.Commit({}), StoreStatus::kWeightsFailed);
  WeightStore next = world.Start();
  EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kWeightsFailed);
  world.flash.FailErase(bad, false);
  Opened(&world);
  EXPECT_TRUE(world.Holds(fresh.weights));
}

// An image changes in the journal after it was written and before it is committed.
TEST(WeightStoreReplaceTest, ADecayedImageIsNotCommitted) {
  World world(Plan(), 40);
  WeightStore store = Opened(&world);
  const Fresh fresh = Draw(&world);
  ASSERT_EQ(store.BeginReplace(), StoreStatus::kOk);
  ASSERT_EQ(Send(&world, &store, fresh, 5 * kPageFloats), StoreStatus::kOk);
  world.flash.FlipBits((world.plan.journal_page() + 4) * kPageBytes + 12, 0x100);
  EXPECT_EQ(store.FinishReplace(nullptr, 0, nullptr), StoreStatus::kJournalFailed);
  EXPECT_TRUE(world.Holds(world.weights));
}

}  // namespace
}  // namespace medyate
