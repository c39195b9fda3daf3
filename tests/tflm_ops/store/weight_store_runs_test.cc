// Commits of packed runs: what they cost and refuse, flipped bits, pages that fail. Power
// cuts: see weight_store_runs_cuts_test.

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/weight_store_runs_world.h"
#include "tflm_ops/store/wear.h"

namespace medyate {
namespace {

TEST(WeightStoreRunsTest, CommitsSetTheWeightsAndCountWhatTheyCost) {
  const FlashTraits traits = {kPageBytes, 1000, 1, 1000};
  for (const uint32_t spares : {2u, 3u}) {
    for (const uint32_t bulk_words : {0u, 20u, kPageFloats + 3}) {
      World world(SmallPlan(spares).WithBulk(bulk_words), 10 + spares);
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      for (int i = 0; i < 40 && !HasFailure(); ++i) {
        const Work work = i % 5 == 4 ? DrawRuns(&world, 2, 2) : DrawAll(&world);
        const std::vector<uint32_t> before = world.Erases();
        const uint64_t operations = world.flash.operations();
        ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
        world.TakeOver(work);
        EXPECT_TRUE(world.Holds(world.weights));
        EXPECT_EQ(World::Counter(store), work.counter);
        EXPECT_TRUE(World::HasBulk(store, world.bulk));
        const StoreDetail& detail = store.detail();
        EXPECT_EQ(detail.run_words > 0, detail.images > 4) << "images where they fit";
        EXPECT_LE(detail.journal_bytes, world.plan.journal_pages * kPageBytes);
        const uint32_t bulk = static_cast<uint32_t>(work.bulk.size());
        const uint64_t microseconds = CommitMicroseconds(traits, detail.images, detail.run_words,
                                                         detail.head_bytes / 4, bulk);
        std::vector<uint32_t> after = world.Erases();
        uint64_t erases = 0;
        for (size_t p = 0; p < after.size(); ++p) erases += after[p] - before[p];
        EXPECT_EQ(microseconds, 1000 * erases + (world.flash.operations() - operations - erases));
        const uint32_t* counts = store.EraseCounts();
        EXPECT_EQ(std::vector<uint32_t>(counts, counts + after.size()), after);
      }
      ExpectRulesKept(world);
      WeightStore next = world.Start();
      ASSERT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
      EXPECT_TRUE(world.Holds(world.weights));
    }
  }
}

TEST(WeightStoreRunsTest, JournalPagesTakeTurnsAndNoneIsWornBeyondTheLimit) {
  for (uint32_t limit : {400u, 50u, 51u, 52u, 53u}) {
    World world(SmallPlan().WithBulk(20), 20);
    world.config.cycle_limit = limit;
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    const FlashTraits traits = {kPageBytes, 1000, 1, limit};
    const uint32_t predicted =
        CommitsLeft(traits, store.EraseCounts(), 8, world.plan.journal_pages, 8, 1, kRunPages);
    uint32_t commits = 0;
    for (;; ++commits) {
      const Work work = DrawAll(&world);
      const StoreStatus status = world.Commit(&store, work);
      if (status == StoreStatus::kWornOut) break;
      ASSERT_EQ(status, StoreStatus::kOk);
      world.TakeOver(work);
    }
    EXPECT_TRUE(world.Holds(world.weights));
    EXPECT_GE(commits, predicted);
    EXPECT_LE(commits, predicted + 2 * world.plan.journal_pages);
    const std::vector<uint32_t> erases = world.Erases();
    EXPECT_LE(*std::max_element(erases.begin(), erases.end()), limit);
  }
}

TEST(WeightStoreRunsTest, WhatDoesNotFitIsRefusedBeforeAnythingIsWritten) {
  World world(SmallPlan(), 30);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const uint64_t before = world.flash.operations();
  // As many words as two pages have, with a head each and the CRCs: one word too many.
  const uint32_t most = kRunPages * kPageFloats - 2 * world.plan.weight_pages;
  Work work;
  work.pool = world.random.Floats(static_cast<int>(most + 1));
  for (uint32_t p = 0; p < world.plan.weight_pages; ++p) {
    const uint32_t length = p == 0 ? most + 1 - (world.plan.weight_pages - 1) * 60 : 60;
    const uint32_t from = p == 0 ? 0 : most + 1 - p * 60;
    if (length > kPageFloats) FAIL() << length;
    work.runs.push_back({from, p * kPageFloats, length});
  }
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kJournalTooSmall);
  World smaller = world;
  --smaller.config.journal_pages;
  WeightStore other = smaller.Start();
  EXPECT_EQ(other.Open(ForeignState::kDropLearned), StoreStatus::kOk);
  EXPECT_EQ(smaller.Commit(&other, DrawAll(&smaller)), StoreStatus::kJournalTooSmall);
  // A push has nothing but images.
  EXPECT_EQ(store.BeginReplace(), StoreStatus::kJournalTooSmall);
  EXPECT_EQ(store.detail().journal_bytes, 10 * kPageBytes);
  EXPECT_EQ(store.Restore(nullptr, 0, nullptr), StoreStatus::kBadRuns);
  work.runs.back().length -= 1;
  work.pool[3] = HUGE_VALF;
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kNotFinite);
  EXPECT_EQ(world.flash.operations(), before);
  work.pool[3] = 1;
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kOk);
  EXPECT_EQ(store.detail().run_words, kRunPages * kPageFloats);
  EXPECT_TRUE(world.Holds(world.After(work)));
}

// A decayed bit of anything while a commit is put in place, or after: it is mended for good.
TEST(WeightStoreRunsTest, AnyOneFlippedBitIsMended) {
  uint32_t counter = 0;
  World world = UsedRunsWorld(SmallPlan(), 800, 2, &counter);
  const Work work = DrawAll(&world);
  const std::vector<float> after = world.After(work);
  const Operations operations = RunOperationsOf(world, work);
  const uint64_t page = 1 + kPageFloats, image = 2 * page + 2;
  // Amid the spare page, the note, the weight page of an image; after all is done.
  const uint64_t third = operations.images + 3 * image;
  const uint64_t states[] = {third + 100, third + page + 1, third + page + 2 + 100,
                             operations.all - 1};
  const uint32_t first = world.config.weights_offset / 4, words = 8 * kPageFloats;
  const uint32_t journal = world.config.journal_offset / 4;
  const uint32_t bits = 32 * (words + world.plan.journal_pages * kPageFloats);
  int refused = 0;
  for (uint32_t state = 0; state < 4; ++state) {
    const World cut = CutDevice(world, work, states[state], state);
    for (uint32_t bit = state; bit < bits && !HasFailure(); bit += IsNight() ? 13 : 499) {
      SCOPED_TRACE(testing::Message() << "state " << state << " bit " << bit);
      World device = cut;
      device.Reseed(bit);
      const uint32_t word = bit / 32 < words ? first + bit / 32 : journal + bit / 32 - words;
      device.flash.FlipBits(4 * word, 1u << (bit % 32));
      WeightStore store = device.Start();
      EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      EXPECT_TRUE(device.Holds(after));
      EXPECT_EQ(World::Counter(store), work.counter);
      WeightStore next = device.Start();
      EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
      EXPECT_EQ(next.mended(), 0u);
    }
    // The note of the image that is being put in place.
    const std::vector<uint32_t> held =
        cut.flash.Contents(world.config.journal_offset, world.plan.journal_pages * kPageFloats);
    for (uint32_t word = 0; word + 1 < held.size() && !HasFailure(); ++word) {
      if (held[word] >> 24 != 0x3c || held[word] != ~held[word + 1]) continue;
      for (uint32_t bit = 0; bit < 64; bit += 3) {
        SCOPED_TRACE(testing::Message() << "state " << state << " note " << word << " " << bit);
        World device = cut;
        device.flash.FlipBits(4 * (journal + word + bit / 32), 1u << (bit % 32));
        WeightStore store = device.Start();
        EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
        EXPECT_TRUE(device.Holds(after));
      }
    }
    // Two bits near each other: all is well, or a refusal with a way out, cut off on the way.
    const std::vector<float> factory = world.random.Floats(static_cast<int>(words));
    for (uint32_t bit = state; bit < bits && !HasFailure(); bit += IsNight() ? 101 : 2003) {
      SCOPED_TRACE(testing::Message() << "state " << state << " bits " << bit);
      World device = cut;
      device.Reseed(bit);
      const uint32_t word = bit / 32 < words ? first + bit / 32 : journal + bit / 32 - words;
      device.flash.FlipBits(4 * word, 1u << (bit % 32) | 1u << ((bit + 1 + bit / 32) % 32));
      device.config.factory = factory.data();
      WeightStore store = device.Start();
      const StoreStatus status = store.Open(ForeignState::kRefuse);
      if (status == StoreStatus::kOk) {
        EXPECT_TRUE(device.Holds(after));
        continue;
      }
      ++refused;
      if (bit % 2 == 0) device.flash.CutAt(static_cast<uint64_t>(device.random.Int(0, 2600)));
      store.Restore(nullptr, 0, nullptr);
      device.flash.Restart();
      WeightStore next = device.Start();
      if (next.Open(ForeignState::kRefuse) != StoreStatus::kOk) {
        EXPECT_EQ(next.Restore(nullptr, 0, nullptr), StoreStatus::kOk);
      }
      EXPECT_TRUE(device.Holds(factory) || device.Holds(after));
    }
  }
  EXPECT_GT(refused, 10);
}

// The same model is flashed again after a commit was cut off anywhere.
TEST(WeightStoreRunsTest, TheSameImageInTheMiddleOfACommitIsNeverMixed) {
  World base(SmallPlan(), 900);
  const std::vector<float> factory = base.weights;
  base.config.has_factory_crc = true;
  base.config.factory_crc = Crc32(0, factory.data(), 4 * factory.size());
  {
    WeightStore store = base.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    const Work first = DrawAll(&base);
    ASSERT_EQ(base.Commit(&store, first), StoreStatus::kOk);
    base.TakeOver(first);
  }
  const Work work = DrawAll(&base);
  const Operations operations = RunOperationsOf(base, work);
  for (uint64_t at = 0; at < operations.all && !HasFailure(); at += IsNight() ? 1 : 41) {
    SCOPED_TRACE(testing::Message() << "operation " << at);
    World world = CutDevice(base, work, at, at);
    world.flash.Program(world.config.weights_offset, World::Words(factory));
    WeightStore store = world.Start();
    EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kWeightsChanged);
    EXPECT_TRUE(world.Holds(factory));
    WeightStore next = world.Start();
    EXPECT_EQ(next.Open(ForeignState::kDropLearned), StoreStatus::kOk);
    EXPECT_TRUE(world.Holds(factory));
    EXPECT_EQ(World::Counter(next), 0u);
  }
}

// A spare page that fails: another one takes its turns. With no other one, a later start goes on.
TEST(WeightStoreRunsTest, ASparePageThatFailsIsPassedOver) {
  for (const uint32_t spares : {2u, 3u}) {
    for (const bool in_erase : {false, true}) {
      uint32_t counter = 0;
      World world = UsedRunsWorld(SmallPlan(spares), 1100, 1, &counter);
      const Work work = DrawAll(&world);
      const std::vector<float> after = world.After(work);
      // The last page before the last head is the last spare page.
      const uint32_t bad = world.plan.journal_page() + world.plan.journal_pages - 1;
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      ASSERT_EQ(store.sequence(), 2u);
      if (in_erase) {
        world.flash.FailErase(bad, true);
      } else {
        world.flash.FailWrite(bad, true);
      }
      const StoreStatus status = world.Commit(&store, work);
      EXPECT_EQ(status, spares == 2 ? StoreStatus::kNotClosed : StoreStatus::kOk);
      EXPECT_EQ(world.Holds(after), spares == 3);
      world.flash.FailErase(bad, false);
      world.flash.FailWrite(bad, false);
      int cuts = 0;
      world.Recover(3, 2600, &cuts);
      EXPECT_TRUE(world.Holds(after));
    }
  }
}

TEST(WeightStoreRunsTest, AWeightPageThatFailsLeavesItsImage) {
  uint32_t counter = 0;
  World world = UsedRunsWorld(SmallPlan(), 1200, 2, &counter);
  const Work work = DrawAll(&world);
  const std::vector<float> after = world.After(work);
  const uint32_t bad = world.plan.weights_page() + 4;
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  world.flash.FailWrite(bad, true);
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kWeightsFailed);
  EXPECT_EQ(store.detail().failed_offset, bad * kPageBytes);
  const std::vector<uint32_t> image =
      world.flash.Contents(store.detail().image_offset, kPageFloats);
  const std::vector<uint32_t> wanted = World::Words(after);
  EXPECT_TRUE(std::equal(image.begin(), image.end(), wanted.begin() + 4 * kPageFloats));
  EXPECT_FALSE(store.AreWeightsRight());
  world.flash.FailWrite(bad, false);
  int cuts = 0;
  world.Recover(3, 2600, &cuts);
  EXPECT_TRUE(world.Holds(after));
}

}  // namespace
}  // namespace medyate
