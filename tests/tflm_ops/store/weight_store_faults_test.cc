// A flash that fails for good: every fault has a status, and nothing is lost that was there before.

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/weight_store_world.h"

namespace medyate {
namespace {

enum class Fault { kErase, kWrite, kStuckBits };

constexpr Fault kFaults[] = {Fault::kErase, Fault::kWrite, Fault::kStuckBits};

void Break(World* world, Fault fault, uint32_t page) {
  if (fault == Fault::kErase) world->flash.FailErase(page, true);
  if (fault == Fault::kWrite) world->flash.FailWrite(page, true);
  // All bits of a word of the header, or of a weight: none of them is all ones.
  if (fault == Fault::kStuckBits) world->flash.StickAtOne(page * kPageBytes + 8, 0xffffffffu);
}

void Repair(World* world, uint32_t page) {
  world->flash.FailErase(page, false);
  world->flash.FailWrite(page, false);
  world->flash.StickAtOne(page * kPageBytes + 8, 0);
}

Work WholePages(uint32_t pages) {
  Work work;
  work.pool.resize(pages * kPageFloats, 0.25f);
  work.runs = {{0, 0, pages * kPageFloats}};
  work.counter = 77;
  return work;
}

TEST(WeightStoreFaultsTest, AFailingJournalPageLeavesTheOldEpoch) {
  for (Fault fault : kFaults) {
    for (uint32_t at = 0; at < 3; ++at) {  // Head, first image, second image.
      World world(Plan(), 1 + at);
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      const uint32_t bad = world.plan.journal_page() + 1 + at;
      Break(&world, fault, bad);
      const Work work = WholePages(2);
      EXPECT_EQ(world.Commit(&store, work), StoreStatus::kJournalFailed);
      EXPECT_EQ(store.detail().failed_offset, bad * kPageBytes);
      EXPECT_TRUE(world.Holds(world.weights));
      EXPECT_EQ(world.Commit(&store, work), StoreStatus::kJournalFailed);
      WeightStore next = world.Start();
      EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
      EXPECT_TRUE(world.Holds(world.weights));
      EXPECT_EQ(World::Counter(next), 0u);
      Repair(&world, bad);
      EXPECT_EQ(world.Commit(&next, work), StoreStatus::kOk);
      EXPECT_TRUE(world.Holds(world.After(work)));
    }
  }
}

TEST(WeightStoreFaultsTest, AFailingWeightPageKeepsTheNewEpochInTheJournal) {
  for (Fault fault : kFaults) {
    for (uint32_t bad = 0; bad < 3; ++bad) {
      World world(Plan(), 10 + bad);
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      const uint32_t page = world.plan.weights_page() + bad;
      Break(&world, fault, page);
      const Work work = WholePages(3);
      const std::vector<uint32_t> after = World::Words(world.After(work));
      EXPECT_EQ(world.Commit(&store, work), StoreStatus::kWeightsFailed);
      EXPECT_EQ(store.detail().failed_offset, page * kPageBytes);
      // Its right content is where the store says, and all other pages are in place.
      for (uint32_t p = 0; p < world.plan.weight_pages; ++p) {
        const std::vector<uint32_t> expected(after.begin() + p * kPageFloats,
                                             after.begin() + (p + 1) * kPageFloats);
        const uint32_t offset =
            p == bad ? store.detail().image_offset : world.config.weights_offset + p * kPageBytes;
        EXPECT_EQ(world.flash.Contents(offset, kPageFloats), expected);
      }
      // No further commit would be safe.
      const uint64_t before = world.flash.operations();
      EXPECT_EQ(world.Commit(&store, work), StoreStatus::kWeightsFailed);
      EXPECT_EQ(world.flash.operations(), before);
      // Each try has erased it, and is counted.
      EXPECT_GE(world.flash.erases(page), 3u);
      EXPECT_GE(store.EraseCounts()[bad], world.flash.erases(page));
      WeightStore next = world.Start();
      EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kWeightsFailed);
      Repair(&world, page);
      EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
      EXPECT_TRUE(world.Holds(world.After(work)));
      EXPECT_EQ(World::Counter(next), 77u);
    }
  }
}

// A word of a mark's slot that cannot be cleared: the next slot serves.
TEST(WeightStoreFaultsTest, AFailingMarkTakesAnotherSlot) {
  const uint32_t end = kPageFloats - kMarkWords * kNextSlots;
  const uint32_t commit = end - 2 * kMarkWords * kSlots;  // The first slot.
  const uint32_t done = end - kMarkWords * (kSlots - 2);  // The third.
  const uint32_t next = end;                              // The first.
  for (uint32_t word : {commit, done, next}) {
    World world(Plan(), 20);
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    const uint32_t head = world.plan.journal_page() + 1;
    world.flash.StickAtOne(head * kPageBytes + 4 * word, 0xffffffffu);
    const Work work = WholePages(2);
    ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
    EXPECT_TRUE(world.Holds(world.After(work)));
    WeightStore next = world.Start();
    EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
    EXPECT_EQ(World::Counter(next), 77u);
    EXPECT_EQ(world.Erases()[0], 1u) << "the second start did the commit again";
  }
}

TEST(WeightStoreFaultsTest, ADoneMarkThatCannotBeWrittenIsReported) {
  World world(Plan(), 30);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const uint32_t head = world.plan.journal_page() + 1;
  for (uint32_t i = 1; i <= kMarkWords * kSlots; ++i) {
    const uint32_t word = kPageFloats - kMarkWords * kNextSlots - i;
    world.flash.StickAtOne(head * kPageBytes + 4 * word, 0xffffffffu);
  }
  const Work work = WholePages(2);
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kNotClosed);
  EXPECT_TRUE(world.Holds(world.After(work)));
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kNotClosed);
  EXPECT_EQ(world.Start().Open(ForeignState::kRefuse), StoreStatus::kNotClosed);
  EXPECT_TRUE(world.Holds(world.After(work)));
}

TEST(WeightStoreFaultsTest, ALostJournalIsNotTakenForANewOne) {
  World world(Plan(), 40);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  ASSERT_EQ(world.Commit(&store, WholePages(2)), StoreStatus::kOk);
  // The marks of both heads are gone.
  const std::vector<uint32_t> zeros(kMarkWords * (2 * kSlots + kNextSlots), 0);
  for (uint32_t page = 0; page < 2; ++page) {
    const uint32_t end = world.config.journal_offset + (page + 1) * kPageBytes;
    world.flash.Program(end - 4 * static_cast<uint32_t>(zeros.size()), zeros);
  }
  EXPECT_EQ(world.Start().Open(ForeignState::kRefuse), StoreStatus::kJournalDamaged);
  EXPECT_EQ(world.Start().Open(ForeignState::kDropLearned), StoreStatus::kOk);
  EXPECT_EQ(world.Start().Open(ForeignState::kRefuse), StoreStatus::kOk);
}

// An image decays in the journal before it is in place: it must not get there.
TEST(WeightStoreFaultsTest, ADecayedImageIsNotPutInPlace) {
  World world(Plan(), 50);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const uint32_t page = world.plan.weights_page();
  Break(&world, Fault::kErase, page);
  ASSERT_EQ(world.Commit(&store, WholePages(1)), StoreStatus::kWeightsFailed);
  Repair(&world, page);
  world.flash.FlipBits(store.detail().image_offset + 40, 3);
  WeightStore next = world.Start();
  EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kJournalDamaged);
  EXPECT_EQ(next.detail().failed_offset, store.detail().image_offset);
  EXPECT_TRUE(world.Holds(world.weights));
}

// Any page at all fails in any way in the middle of a life with power cuts. Whatever the store
// reports, it has old or new weights for the next start once the flash works again.
TEST(WeightStoreFaultsTest, FaultsAndCutsTogetherLoseNothing) {
  for (uint32_t seed = 0; seed < 300 && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    World world(Plan(), 1000 + seed);
    const int commits = world.random.Int(0, 6);
    for (int i = 0; i < commits; ++i) {
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      const Work work = world.DrawWork(static_cast<uint32_t>(world.random.Int(1, 5)));
      ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
      world.TakeOver(work);
    }
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    const Work work = world.DrawWork(static_cast<uint32_t>(world.random.Int(1, 5)));
    const uint32_t bad = static_cast<uint32_t>(world.random.Int(1, 14));
    Break(&world, kFaults[world.random.Int(0, 2)], bad);
    world.flash.CutAt(static_cast<uint64_t>(world.random.Int(0, 2000)));
    const StoreStatus status = world.Commit(&store, work);
    const bool was_cut = world.flash.is_cut();
    world.flash.Restart();
    world.Start().Open(ForeignState::kRefuse);  // With the fault still there.
    Repair(&world, bad);
    EXPECT_EQ(world.Start().Open(ForeignState::kRefuse), StoreStatus::kOk);
    const bool is_new = world.Holds(world.After(work));
    EXPECT_TRUE(is_new || world.Holds(world.weights));
    if (status == StoreStatus::kOk && !was_cut) {
      EXPECT_TRUE(is_new);
    }
    if (status == StoreStatus::kJournalFailed && !was_cut) {
      EXPECT_FALSE(is_new);
    }
    if (status == StoreStatus::kWeightsFailed) {
      EXPECT_TRUE(is_new || was_cut);
    }
  }
}

}  // namespace
}  // namespace medyate
