// Power cuts in commits of packed runs. See fake_flash.h for what a cut leaves behind.

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/weight_store_runs_world.h"

namespace medyate {
namespace {

// Whether an operation within an image is one where a page or a note begins or ends.
bool IsAtAnEdge(uint64_t operation) {
  const uint64_t page = 1 + kPageFloats, within = operation % (2 * page + 2);
  const uint64_t in_page = within < page ? within : within - page;
  return in_page < 4 || (in_page >= page - 2 && in_page < page);
}

// Each operation where a page or note begins or ends, and others here and there (by night all); in
// three of four cases the recovery is cut, too, up to three times.
TEST(WeightStoreRunsCutsTest, CutsAnywhereLeaveOldOrNew) {
  int cuts = 0, old = 0, fresh = 0;
  for (uint32_t seed = 0; seed < 4; ++seed) {
    uint32_t counter = 0;
    const Plan plan = SmallPlan(2 + seed % 2).WithBulk(seed == 3 ? 30 : 0);
    const World world = UsedRunsWorld(plan, 100 * seed, static_cast<int>(seed), &counter);
    World drawn = world;
    const Work work = DrawAll(&drawn);
    const Operations operations = RunOperationsOf(world, work);
    for (uint64_t at = seed; at < operations.all && !HasFailure(); ++at) {
      const bool is_image = at >= operations.images;
      const bool is_edge = is_image && IsAtAnEdge(at - operations.images);
      if (!IsNight() && (!is_edge || at % 3 == 0) && at % (is_image ? 61 : 13) != 0) continue;
      SCOPED_TRACE(testing::Message() << "seed " << seed << " operation " << at);
      World cut = CutDevice(world, work, at, 10000 * seed + at);
      ++cuts;
      ++(Settle(&cut, work, counter, static_cast<int>((at + seed) % 4), &cuts) ? fresh : old);
    }
  }
  EXPECT_GT(cuts, 1000);
  EXPECT_GT(old, 80);
  EXPECT_GT(fresh, 400);
  printf("%d cuts: %d left the old epoch, %d the new one\n", cuts, old, fresh);
}

// Where pages and notes begin or end, cut once; then, in the recovery, at each of the first
// operations and around the end of the page that is put in place again; then once more at random.
// Half of the cuts tear a word so that all but one bit is written, and that one reads at random.
TEST(WeightStoreRunsCutsTest, TwoCutsAroundNotesLeaveOldOrNew) {
  int cuts = 0;
  uint32_t counter = 0;
  World world = UsedRunsWorld(SmallPlan(), 700, 3, &counter);
  const Work work = DrawAll(&world);
  const Operations operations = RunOperationsOf(world, work);
  const uint64_t image = 2 * (1 + uint64_t{kPageFloats}) + 2;
  for (uint64_t at = operations.images - 6; at < operations.all && !HasFailure(); ++at) {
    const bool is_edge = at < operations.images || IsAtAnEdge(at - operations.images);
    const uint64_t number = (at - operations.images) / image;
    if (!is_edge || (number % 4 > 1 && !IsNight())) continue;
    for (uint64_t second = 0; second < 2 * image && !HasFailure(); ++second) {
      const bool is_second = second < 24 || IsAtAnEdge(second - 12) || IsAtAnEdge(second + 241);
      if (!is_second || (!IsNight() && (at + second) % 7 != 0)) continue;
      SCOPED_TRACE(testing::Message() << "operation " << at << " then " << second);
      const bool is_subtle = (at + second) % 2 == 0;
      world.flash.TearWordsAs(is_subtle ? FakeFlash::Tear::kAllButOneBit : FakeFlash::Tear::kAny);
      World cut = CutDevice(world, work, at, 10000 * at + second);
      cut.flash.CutAt(second);
      WeightStore again = cut.Start();
      again.Open(ForeignState::kRefuse);
      cut.flash.Restart();
      cuts += 2;
      Settle(&cut, work, counter, 1, &cuts);
    }
  }
  EXPECT_GT(cuts, 800);
  printf("%d cuts\n", cuts);
}

// A note that does not show, is overruled by the next start, and shows again when its spare page is
// being erased: that page is not believed in any more.
TEST(WeightStoreRunsCutsTest, ANoteThatComesBackIsOverruled) {
  // Operations of a start: two commit marks, a note of the wear, one of what is held, that erase.
  const uint64_t kErase = 8;
  int cuts = 0;
  uint32_t counter = 0;
  World world = UsedRunsWorld(SmallPlan(), 720, 2, &counter);
  const Work work = DrawAll(&world);
  const Operations operations = RunOperationsOf(world, work);
  const uint64_t page = 1 + uint64_t{kPageFloats};
  world.flash.TearWordsAs(FakeFlash::Tear::kSomeUnsure);
  for (uint64_t luck = 0; luck < (IsNight() ? 6000 : 200) && !HasFailure(); ++luck) {
    SCOPED_TRACE(testing::Message() << "luck " << luck);
    const uint64_t image = luck % 2 == 0 ? 0 : 3;
    // The second word of its note.
    const uint64_t at = operations.images + image * (2 * page + 2) + page + 1;
    World cut = CutDevice(world, work, at, luck);
    // Before that erase an image that is held is put in place. Or in the note of what is held.
    cut.flash.CutAt(kErase - (luck % 3 == 0 ? 2 : 0) + (image > 0 ? page : 0));
    WeightStore again = cut.Start();
    again.Open(ForeignState::kRefuse);
    cut.flash.Restart();
    cuts += 2;
    cut.Recover(2, 300, &cuts);
    cut.CheckEpoch(cut.After(work), work.counter, counter, cut.bulk);
  }
  printf("%d cuts\n", cuts);
}

// A long life of commits of either kind, records alone, restores of the factory's weights, and cuts
// anywhere.
TEST(WeightStoreRunsCutsTest, ALifeOfCutsLosesNothing) {
  int cuts = 0;
  for (uint32_t seed = 0; seed < 3; ++seed) {
    World world(SmallPlan(2 + seed).WithBulk(seed == 2 ? 30 : 0), 500 + seed);
    const std::vector<float> factory = world.weights;
    world.config.factory = factory.data();
    uint32_t counter = 0;
    for (int life = 0; life < (IsNight() ? 1000 : 120) && !HasFailure(); ++life) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << " life " << life);
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      const int kind = world.random.Int(0, 9);
      Work work = kind == 0 ? DrawRuns(&world, 1, 2) : DrawAll(&world);
      if (kind == 1) work.runs.resize(1);  // So that there is an image.
      work.counter = static_cast<uint32_t>(world.random.Int(1, 1 << 30));
      if (life > 0) world.flash.CutAt(static_cast<uint64_t>(world.random.Int(0, 5500)));
      if (kind == 2 && world.weights != factory) {  // Else old and new are alike.
        work.runs = {{0, 0, static_cast<uint32_t>(factory.size())}};
        work.pool = factory;
        const RecordChange record = {"counter", &work.counter, sizeof(work.counter)};
        const Bulk bulk = {work.bulk.data(), static_cast<uint32_t>(work.bulk.size())};
        store.Restore(&record, 1, work.bulk.empty() ? nullptr : &bulk);
      } else {
        world.Commit(&store, work);
      }
      cuts += world.flash.is_cut() ? 1 : 0;
      world.Recover(life == 0 ? 0 : world.random.Int(0, 3), 2600, &cuts);
      if (world.CheckEpoch(world.After(work), work.counter, counter, world.BulkAfter(work))) {
        counter = work.counter;
      }
      // No erase goes uncounted, but for one with a note that a cut tore.
      WeightStore next = world.Start();
      ASSERT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
      const std::vector<uint32_t> real = world.Erases();
      const uint32_t* counts = next.EraseCounts();
      for (size_t i = 0; i < real.size(); ++i) {
        EXPECT_GE(counts[i], real[i]) << i;
        EXPECT_LE(counts[i], real[i] + 4 * static_cast<uint32_t>(cuts)) << i;
      }
    }
    ExpectRulesKept(world);
  }
  EXPECT_GT(cuts, 200);
  printf("%d cuts\n", cuts);
}

// Every operation of a restore of the factory's weights, cut off, and once more in the recovery.
TEST(WeightStoreRunsCutsTest, ARestoreThatIsCutOffIsOldOrTheFactorys) {
  uint32_t counter = 0;
  World world = UsedRunsWorld(SmallPlan(), 1000, 3, &counter);
  std::vector<float> factory = world.random.Floats(static_cast<int>(world.weights.size()));
  world.config.factory = factory.data();
  Work all;
  all.runs = {{0, 0, static_cast<uint32_t>(factory.size())}};
  all.pool = factory;
  all.counter = counter;
  int cuts = 0, fresh = 0;
  for (uint64_t at = 0; !HasFailure(); at += IsNight() ? 1 : 9) {
    SCOPED_TRACE(testing::Message() << "operation " << at);
    World device = world;
    device.Reseed(static_cast<uint32_t>(at));
    WeightStore store = device.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    device.flash.CutAt(at);
    const StoreStatus status = store.Restore(nullptr, 0, nullptr);
    if (!device.flash.is_cut()) {
      EXPECT_EQ(status, StoreStatus::kOk);
      EXPECT_TRUE(device.Holds(factory));
      break;
    }
    ++cuts;
    fresh += Settle(&device, all, counter, static_cast<int>(at % 3), &cuts) ? 1 : 0;
  }
  EXPECT_GT(fresh, 80);
  // A bit of the copy has decayed since.
  World device = CutDevice(world, DrawAll(&world), 10, 1);
  WeightStore store = device.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  device.flash.CutAt(300);
  store.Restore(nullptr, 0, nullptr);
  ASSERT_TRUE(device.flash.is_cut());
  std::vector<float> decayed = factory;
  uint32_t word;
  memcpy(&word, &decayed[700], 4);
  word ^= 1u << 9;
  memcpy(&decayed[700], &word, 4);
  device.config.factory = decayed.data();
  device.Recover(0, 0, &cuts);
  EXPECT_TRUE(device.Holds(factory));
  factory[3] = HUGE_VALF;
  WeightStore next = world.Start();
  ASSERT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
  EXPECT_EQ(next.Restore(nullptr, 0, nullptr), StoreStatus::kNotFinite);
}

// Each start notes what it goes on with. When there is no room for that any more it refuses; what
// is there stays, and the factory's weights are a way out.
TEST(WeightStoreRunsCutsTest, ManyCutsInOneCommitAreNeverMixed) {
  const int kLeastStarts = 24;
  uint32_t counter = 0;
  World world = UsedRunsWorld(SmallPlan(), 1300, 1, &counter);
  // Records that leave as little room in the head as may be.
  const std::vector<uint32_t> filler(kPageFloats);
  uint32_t bytes = kPageBytes;
  StoreStatus is_full = StoreStatus::kHeadFull;
  for (; is_full == StoreStatus::kHeadFull; bytes -= 4) {
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    const RecordChange record = {"filler", filler.data(), bytes};
    is_full = store.Commit({nullptr, nullptr, 0, &record, 1, nullptr});
  }
  ASSERT_EQ(is_full, StoreStatus::kOk);
  const Work work = DrawAll(&world);
  const std::vector<float> after = world.After(work);
  const Operations operations = RunOperationsOf(world, work);
  World device = CutDevice(world, work, operations.all - 3000, 1);
  StoreStatus status = StoreStatus::kOk;
  int starts = 0;
  for (; starts < 300; ++starts) {
    World lucky = device;
    WeightStore store = lucky.Start();
    status = store.Open(ForeignState::kRefuse);
    if (status != StoreStatus::kOk) break;
    EXPECT_TRUE(lucky.Holds(after));
    device.flash.CutAt(static_cast<uint64_t>(10 + starts % 13));
    WeightStore again = device.Start();
    again.Open(ForeignState::kRefuse);
    device.flash.Restart();
  }
  EXPECT_EQ(status, StoreStatus::kNotClosed);
  EXPECT_GE(starts, kLeastStarts);
  EXPECT_LT(starts, 2 * kLeastStarts);
  const std::vector<float> factory = world.random.Floats(static_cast<int>(after.size()));
  device.config.factory = factory.data();
  WeightStore store = device.Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kNotClosed);
  EXPECT_EQ(store.Restore(nullptr, 0, nullptr), StoreStatus::kOk);
  EXPECT_TRUE(device.Holds(factory));
  WeightStore next = device.Start();
  EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
}

}  // namespace
}  // namespace medyate
