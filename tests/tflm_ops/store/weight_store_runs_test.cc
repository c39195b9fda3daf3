// Commits of packed runs, in a journal that is too small for the images of all pages: power cuts,
// flipped bits, pages that fail, model updates. See fake_flash.h for what a cut leaves behind.

#include <stdlib.h>

#include <algorithm>

#include "gtest/gtest.h"
// A head notes each image, and has to have room for that.
#define MEDYATE_TEST_PAGE_BYTES 1024
#include "tests/tflm_ops/store/weight_store_world.h"
#include "tflm_ops/store/wear.h"

namespace medyate {
namespace {

const uint32_t kRunPages = 2;

bool IsNight() { return getenv("MEDYATE_NIGHTLY") != nullptr; }

// The least journal for commits of `kRunPages` pages of runs.
Plan SmallPlan(uint32_t spares = 2) {
  Plan plan;
  plan.weight_pages = 8;
  plan.run_pages = kRunPages;
  plan.journal_pages = 2 + kRunPages + spares;
  return plan;
}

// Runs in all of `pages`: whole images of those would not fit. Some cross into the next page.
Work DrawRuns(World* world, uint32_t first_page, uint32_t pages) {
  Work work;
  uint32_t at = first_page * kPageFloats + static_cast<uint32_t>(world->random.Int(0, 40));
  const uint32_t end = (first_page + pages) * kPageFloats;
  while (at < end) {
    const uint32_t length = std::min(static_cast<uint32_t>(world->random.Int(1, 50)), end - at);
    work.runs.push_back({static_cast<uint32_t>(work.pool.size()), at, length});
    for (float weight : world->random.Floats(static_cast<int>(length))) work.pool.push_back(weight);
    at += length + static_cast<uint32_t>(world->random.Int(120, 220));
  }
  std::reverse(work.runs.begin(), work.runs.end());  // In any order.
  work.counter = static_cast<uint32_t>(world->random.Int(0, 1 << 30));
  if (world->plan.bulk_words > 0) work.bulk = world->DrawBulk(world->plan.bulk_words);
  return work;
}

Work DrawAll(World* world) { return DrawRuns(world, 0, world->plan.weight_pages); }

// A device whose last commits were of runs.
World UsedWorld(const Plan& plan, uint32_t seed, int commits, uint32_t* counter) {
  World world(plan, seed);
  WeightStore store = world.Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  for (int i = 0; i < commits; ++i) {
    const Work work = DrawAll(&world);
    EXPECT_EQ(world.Commit(&store, work), StoreStatus::kOk);
    world.TakeOver(work);
    *counter = work.counter;
  }
  return world;
}

// Operations of a commit, and those before its first weight page is erased.
struct Operations {
  uint64_t all = 0;
  uint64_t images = 0;
};

Operations OperationsOf(World world, const Work& work) {
  WeightStore store = world.Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const uint64_t before = world.flash.operations();
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kOk);
  EXPECT_GT(store.detail().run_words, 0u);
  Operations operations;
  operations.all = world.flash.operations() - before;
  // Of each image: both pages, and a note. Then two done marks.
  operations.images =
      operations.all - 4 - store.detail().images * (2 * (1 + uint64_t{kPageFloats}) + 2);
  return operations;
}

// The device after a cut at operation `at` of a commit; chance takes the course of `seed`.
World CutDevice(World device, const Work& work, uint64_t at, uint64_t seed) {
  device.Reseed(static_cast<uint32_t>(seed));
  WeightStore store = device.Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  device.flash.CutAt(at);
  device.Commit(&store, work);
  EXPECT_TRUE(device.flash.is_cut());
  device.flash.Restart();
  return device;
}

void ExpectRulesKept(const World& world) {
  EXPECT_EQ(world.flash.written_twice(), 0);
  EXPECT_EQ(world.flash.written_unstable(), 0);
  EXPECT_TRUE(world.NeighboursAreUntouched());
}

// The device comes to one epoch or the other, and commits go on.
bool Settle(World* device, const Work& work, uint32_t old_counter, int more_cuts, int* cuts) {
  device->Recover(more_cuts, 2600, cuts);
  const bool is_new =
      device->CheckEpoch(device->After(work), work.counter, old_counter, device->BulkAfter(work));
  WeightStore next = device->Start();
  EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const Work more = DrawAll(device);
  EXPECT_EQ(device->Commit(&next, more), StoreStatus::kOk);
  device->TakeOver(more);
  EXPECT_TRUE(device->Holds(device->weights));
  ExpectRulesKept(*device);
  return is_new;
}

// Whether an operation within an image is one where a page or a note begins or ends.
bool IsAtAnEdge(uint64_t operation) {
  const uint64_t page = 1 + kPageFloats, within = operation % (2 * page + 2);
  const uint64_t in_page = within < page ? within : within - page;
  return in_page < 4 || (in_page >= page - 2 && in_page < page);
}

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

// Each operation where a page or note begins or ends, and others here and there (by night all); in
// three of four cases the recovery is cut, too, up to three times.
TEST(WeightStoreRunsTest, CutsAnywhereLeaveOldOrNew) {
  int cuts = 0, old = 0, fresh = 0;
  for (uint32_t seed = 0; seed < 4; ++seed) {
    uint32_t counter = 0;
    const Plan plan = SmallPlan(2 + seed % 2).WithBulk(seed == 3 ? 30 : 0);
    const World world = UsedWorld(plan, 100 * seed, static_cast<int>(seed), &counter);
    World drawn = world;
    const Work work = DrawAll(&drawn);
    const Operations operations = OperationsOf(world, work);
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
TEST(WeightStoreRunsTest, TwoCutsAroundNotesLeaveOldOrNew) {
  int cuts = 0;
  uint32_t counter = 0;
  World world = UsedWorld(SmallPlan(), 700, 3, &counter);
  const Work work = DrawAll(&world);
  const Operations operations = OperationsOf(world, work);
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
TEST(WeightStoreRunsTest, ANoteThatComesBackIsOverruled) {
  // Operations of a start: two commit marks, a note of the wear, one of what is held, that erase.
  const uint64_t kErase = 8;
  int cuts = 0;
  uint32_t counter = 0;
  World world = UsedWorld(SmallPlan(), 720, 2, &counter);
  const Work work = DrawAll(&world);
  const Operations operations = OperationsOf(world, work);
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
TEST(WeightStoreRunsTest, ALifeOfCutsLosesNothing) {
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

// A decayed bit of anything while a commit is put in place, or after: it is mended for good.
TEST(WeightStoreRunsTest, AnyOneFlippedBitIsMended) {
  uint32_t counter = 0;
  World world = UsedWorld(SmallPlan(), 800, 2, &counter);
  const Work work = DrawAll(&world);
  const std::vector<float> after = world.After(work);
  const Operations operations = OperationsOf(world, work);
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
  const Operations operations = OperationsOf(base, work);
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

// Every operation of a restore of the factory's weights, cut off, and once more in the recovery.
TEST(WeightStoreRunsTest, ARestoreThatIsCutOffIsOldOrTheFactorys) {
  uint32_t counter = 0;
  World world = UsedWorld(SmallPlan(), 1000, 3, &counter);
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

// A spare page that fails: another one takes its turns. With no other one, a later start goes on.
TEST(WeightStoreRunsTest, ASparePageThatFailsIsPassedOver) {
  for (const uint32_t spares : {2u, 3u}) {
    for (const bool in_erase : {false, true}) {
      uint32_t counter = 0;
      World world = UsedWorld(SmallPlan(spares), 1100, 1, &counter);
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
  World world = UsedWorld(SmallPlan(), 1200, 2, &counter);
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

// Each start notes what it goes on with. When there is no room for that any more it refuses; what
// is there stays, and the factory's weights are a way out.
TEST(WeightStoreRunsTest, ManyCutsInOneCommitAreNeverMixed) {
  const int kLeastStarts = 24;
  uint32_t counter = 0;
  World world = UsedWorld(SmallPlan(), 1300, 1, &counter);
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
  const Operations operations = OperationsOf(world, work);
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
