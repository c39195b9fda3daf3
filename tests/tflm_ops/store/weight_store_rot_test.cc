// Bits that decay, one by one and in pairs. Whatever they are, a start finds the state that it
// should find, or refuses and says so; and then all weights can be replaced.
//
// Every bit of everything is flipped with MEDYATE_NIGHTLY=1 in the environment, and many more
// pairs; else a share of them that is another one in each state.

#include <stdlib.h>

#include <functional>
#include <limits>
#include <set>

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/weight_store_world.h"

namespace medyate {
namespace {

bool IsNightly() { return getenv("MEDYATE_NIGHTLY") != nullptr; }

// A device at rest, and what a start must make of it.
struct Device {
  explicit Device(const Plan& plan, uint32_t seed) : world(plan, seed) {}
  World world;
  uint32_t counter = 0;
};

WeightStore Opened(World* world) {
  WeightStore store = world->Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  return store;
}

void Commit(Device* device, WeightStore* store, uint32_t pages) {
  Work work = device->world.DrawWork(pages > 0 ? pages : 1);
  if (pages == 0) work.runs.clear();
  ASSERT_EQ(device->world.Commit(store, work), StoreStatus::kOk);
  device->world.TakeOver(work);
  device->counter = work.counter;
}

std::vector<uint32_t> Factory(const World& world) {
  return std::vector<uint32_t>(world.plan.weight_pages * kPageFloats, 0x3f800000u);
}

StoreStatus Reset(World* world, WeightStore* store) {
  const std::vector<uint32_t> words = Factory(*world);
  StoreStatus status = store->BeginReplace();
  if (status == StoreStatus::kOk) {
    status = store->Replace(words.data(), static_cast<uint32_t>(words.size()));
  }
  const RecordChange record = {"counter", nullptr, 0};
  const Bulk none = {nullptr, 0};
  return status == StoreStatus::kOk ? store->FinishReplace(&record, 1, &none) : status;
}

// --- the states

using Make = std::function<void(Device*)>;

void Fresh(Device* device) { Opened(&device->world); }

void AfterACommit(Device* device) {
  WeightStore store = Opened(&device->world);
  for (uint32_t pages : {1u, 2u, 1u}) Commit(device, &store, pages);
}

void AfterRecordsAlone(Device* device) {
  WeightStore store = Opened(&device->world);
  for (uint32_t pages : {2u, 0u, 0u}) Commit(device, &store, pages);
}

void AfterAPushThatWasGivenUp(Device* device) {
  WeightStore store = Opened(&device->world);
  Commit(device, &store, 2);
  ASSERT_EQ(store.BeginReplace(), StoreStatus::kOk);
  ASSERT_EQ(store.Replace(Factory(device->world).data(), kPageFloats + 5), StoreStatus::kOk);
}

// A commit that is cut off so many operations before its end.
void CutBeforeItsEnd(World* world, const Work& work, uint64_t rest) {
  World probe = *world;
  WeightStore other = Opened(&probe);
  const uint64_t before = probe.flash.operations();
  ASSERT_EQ(probe.Commit(&other, work), StoreStatus::kOk);
  WeightStore store = Opened(world);
  world->flash.TearWordsAs(FakeFlash::Tear::kNothing);
  world->flash.CutAt(probe.flash.operations() - before - rest);
  ASSERT_NE(world->Commit(&store, work), StoreStatus::kOk);
  world->flash.TearWordsAs(FakeFlash::Tear::kAny);
  world->flash.Restart();
}

// Committed, and only half in place.
void AmidACommit(Device* device) {
  AfterACommit(device);
  const Work work = device->world.DrawWork(2);
  CutBeforeItsEnd(&device->world, work, 40);
  device->world.TakeOver(work);
  device->counter = work.counter;
}

// Images and head are there, the commit mark is not.
void BeforeACommit(Device* device) {
  AfterACommit(device);
  const uint64_t marks = 4 + 4 + 2 + 4;  // And the page in place.
  CutBeforeItsEnd(&device->world, device->world.DrawWork(1), marks + 1 + kPageFloats);
}

struct NamedState {
  const char* name;
  Make make;
};

const NamedState kStates[] = {{"fresh", Fresh},
                              {"after a commit", AfterACommit},
                              {"after records alone", AfterRecordsAlone},
                              {"after a push that was given up", AfterAPushThatWasGivenUp},
                              {"amid a commit", AmidACommit},
                              {"before a commit", BeforeACommit}};

Device Made(const NamedState& state, uint32_t seed) {
  Plan plan;
  plan.weight_pages = 2;
  plan.journal_pages = 5;
  Device device(plan.WithBulk(30), seed);
  state.make(&device);
  return device;
}

// The bits that are there: all pages between the neighbours.
uint32_t FirstBit() { return 8 * kPageBytes; }
uint32_t EndBit(const World& world) { return 8 * kPageBytes * (world.plan.pages() - 2); }

void Flip(World* world, uint32_t bit) { world->flash.FlipBits(bit / 32 * 4, 1u << (bit % 32)); }

// --- what a start makes of it

bool HasExpected(const Device& device, const WeightStore& store) {
  return device.world.Holds(device.world.weights) && World::Counter(store) == device.counter;
}

// A refusal from which a reset recovers, even if it is cut off on the way.
void ExpectAWayOut(World world, StoreStatus refusal, uint32_t seed) {
  EXPECT_TRUE(refusal == StoreStatus::kWeightsChanged || refusal == StoreStatus::kJournalDamaged ||
              refusal == StoreStatus::kNotClosed)
      << refusal;
  world.Reseed(seed);
  if (seed % 2 == 1) {
    WeightStore store = world.Start();
    store.Open(ForeignState::kRefuse);
    world.flash.CutAt(seed / 2 % 900);
    Reset(&world, &store);
    world.flash.Restart();
  }
  WeightStore store = world.Start();
  store.Open(ForeignState::kRefuse);
  ASSERT_EQ(Reset(&world, &store), StoreStatus::kOk);
  WeightStore next = Opened(&world);
  EXPECT_EQ(world.flash.Contents(world.config.weights_offset, 2 * kPageFloats), Factory(world));
  EXPECT_EQ(World::Counter(next), 0u);
  const Work work = world.DrawWork(1);
  EXPECT_EQ(world.Commit(&next, work), StoreStatus::kOk);
  EXPECT_EQ(world.flash.written_unstable(), 0);
  EXPECT_TRUE(world.NeighboursAreUntouched());
}

TEST(WeightStoreRotTest, AnyOneBitIsMended) {
  uint32_t flips = 0, state_number = 0;
  for (const NamedState& state : kStates) {
    SCOPED_TRACE(state.name);
    const Device device = Made(state, 10 + state_number);
    const uint32_t stride = IsNightly() ? 1 : 23;
    for (uint32_t bit = FirstBit() + state_number++ % stride;
         bit < EndBit(device.world) && !testing::Test::HasFailure(); bit += stride) {
      SCOPED_TRACE(bit);
      Device rotten = device;
      Flip(&rotten.world, bit);
      for (int start = 0; start < 2; ++start) {
        WeightStore store = Opened(&rotten.world);
        EXPECT_TRUE(HasExpected(rotten, store));
        EXPECT_TRUE(World::HasBulk(store, rotten.world.bulk));
        if (start == 1) {
          EXPECT_EQ(store.mended(), 0u) << "it is mended for good";
        }
      }
      EXPECT_EQ(rotten.world.flash.written_twice(), 0);
      ++flips;
    }
  }
  printf("%u flips\n", flips);
}

// The start that mends a bit is cut off as any other.
TEST(WeightStoreRotTest, ACutWhileABitIsMendedDoesNoHarm) {
  const Device device = Made(kStates[1], 20);
  const uint32_t newest = 8 * kPageBytes * (device.world.plan.journal_page());
  for (uint32_t place = 0; place < 2; ++place) {
    for (uint32_t at = 0; at < 600 && !testing::Test::HasFailure(); at += IsNightly() ? 1 : 7) {
      SCOPED_TRACE(testing::Message() << place << " " << at);
      Device rotten = device;
      rotten.world.Reseed(at);
      // In the weights; in all heads, since we do not know which is the newest.
      if (place == 0) Flip(&rotten.world, FirstBit() + 37 * at % (16 * kPageBytes));
      for (uint32_t page = 0; place == 1 && page < device.world.plan.journal_pages; ++page) {
        Flip(&rotten.world, newest + 8 * kPageBytes * page + 32 * 9 + at % 32);
      }
      int cuts = 0;
      rotten.world.flash.CutAt(at);
      WeightStore store = rotten.world.Start();
      store.Open(ForeignState::kRefuse);
      rotten.world.flash.Restart();
      rotten.world.Recover(static_cast<int>(at % 3), 500, &cuts);
      WeightStore next = Opened(&rotten.world);
      EXPECT_TRUE(HasExpected(rotten, next));
      EXPECT_TRUE(World::HasBulk(next, rotten.world.bulk));
      EXPECT_EQ(rotten.world.flash.written_twice(), 0);
      EXPECT_EQ(rotten.world.flash.written_unstable(), 0);
    }
  }
}

// Two bits anywhere, or close to one another: in one page, in one mark. The bulk data may be lost
// then, which a reader is told.
TEST(WeightStoreRotTest, AnyTwoBitsAreMendedOrRefused) {
  const int pairs = IsNightly() ? 400000 : 1500;
  uint32_t state_number = 0;
  int refused = 0, lost_bulk = 0;
  for (const NamedState& state : kStates) {
    SCOPED_TRACE(state.name);
    const Device device = Made(state, 30 + state_number++);
    math::Random random(state_number);
    const int first = static_cast<int>(FirstBit()), end = static_cast<int>(EndBit(device.world));
    for (int pair = 0; pair < pairs && !testing::Test::HasFailure(); ++pair) {
      const int one = random.Int(first, end - 1);
      const int reach[] = {end, static_cast<int>(4 * kPageBytes), 64, 2000};
      const int near = random.Int(std::max(first, one - reach[pair % 4]),
                                  std::min(end - 1, one + reach[pair % 4]));
      SCOPED_TRACE(testing::Message() << one << " and " << near);
      if (one == near) continue;
      Device rotten = device;
      Flip(&rotten.world, static_cast<uint32_t>(one));
      Flip(&rotten.world, static_cast<uint32_t>(near));
      WeightStore store = rotten.world.Start();
      const StoreStatus status = store.Open(ForeignState::kRefuse);
      if (status != StoreStatus::kOk) {
        ++refused;
        ExpectAWayOut(rotten.world, status, static_cast<uint32_t>(pair));
        continue;
      }
      EXPECT_TRUE(HasExpected(rotten, store));
      std::vector<uint32_t> bulk(rotten.world.bulk.size());
      if (!store.ReadBulk(bulk.data(), static_cast<uint32_t>(bulk.size()))) {
        ++lost_bulk;
      } else {
        EXPECT_EQ(bulk, rotten.world.bulk);
      }
    }
  }
  printf("%d refused, %d lost their bulk data\n", refused, lost_bulk);
  EXPECT_GT(refused, 100);
  EXPECT_GT(lost_bulk, 0);
}

// A page of a journal, or of the weights, that reads as anything at all.
TEST(WeightStoreRotTest, ALostPageIsRefusedOrMissed) {
  uint32_t state_number = 0;
  std::set<StoreStatus> seen;
  for (const NamedState& state : kStates) {
    SCOPED_TRACE(state.name);
    const Device device = Made(state, 50 + state_number++);
    for (uint32_t page = 1; page < device.world.plan.pages() - 2; ++page) {
      for (int kind = 0; kind < 4; ++kind) {
        SCOPED_TRACE(testing::Message() << page << " " << kind);
        Device rotten = device;
        std::vector<uint32_t> words(kPageFloats, kind == 0 ? 0u : kErasedWord);
        math::Random random(page);
        // Without its header; all of it random.
        if (kind == 2) words = rotten.world.flash.Contents(page * kPageBytes, kPageFloats);
        for (uint32_t i = 0; i < (kind == 2 ? 16 : kind == 3 ? kPageFloats : 0); ++i) {
          words[i] = static_cast<uint32_t>(random.Int(0, 1 << 30));
        }
        rotten.world.flash.Program(page * kPageBytes, words);
        WeightStore store = rotten.world.Start();
        const StoreStatus status = store.Open(ForeignState::kRefuse);
        seen.insert(status);
        if (status == StoreStatus::kOk) {
          EXPECT_TRUE(HasExpected(rotten, store));
        } else {
          ExpectAWayOut(rotten.world, status, page);
        }
      }
    }
  }
  EXPECT_EQ(seen, (std::set<StoreStatus>{StoreStatus::kOk, StoreStatus::kWeightsChanged,
                                         StoreStatus::kJournalDamaged}));
}

// What was committed last is never taken back without a word, even if it changed no weights.
TEST(WeightStoreRotTest, ALostHeadIsNotReplacedByTheOneBefore) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    Device device = Made(kStates[2], 100 + seed);
    World* world = &device.world;
    const Device before = device;
    {
      WeightStore store = Opened(world);
      Commit(&device, &store, 0);
    }
    // The page that a commit of records alone has changed most is its head.
    uint32_t head = 0, most = 0;
    for (uint32_t page = 0; page < world->plan.journal_pages; ++page) {
      const uint32_t offset = (world->plan.journal_page() + page) * kPageBytes;
      const std::vector<uint32_t> now = world->flash.Contents(offset, kPageFloats);
      const std::vector<uint32_t> then = before.world.flash.Contents(offset, kPageFloats);
      uint32_t changed = 0;
      for (uint32_t i = 0; i < kPageFloats; ++i) changed += now[i] == then[i] ? 0 : 1;
      if (now[0] == kHeadMagic && changed > most) most = changed, head = offset;
    }
    const uint32_t word = head + 4 * (seed % 20), bits = 3u << seed % 30;
    world->flash.FlipBits(word, bits);
    WeightStore store = world->Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kJournalDamaged);
    EXPECT_EQ(World::Counter(store), before.counter) << "what can be read is offered";
    EXPECT_EQ(store.Commit({}), StoreStatus::kJournalDamaged);
    ExpectAWayOut(*world, StoreStatus::kJournalDamaged, seed);
    // It does not come back, even if it can be read again some day.
    const uint32_t rotten = world->flash.Contents(word, 1)[0];
    ASSERT_EQ(Reset(world, &store), StoreStatus::kOk);
    if (world->flash.Contents(word, 1)[0] == rotten) world->flash.FlipBits(word, bits);
    WeightStore next = Opened(world);
    EXPECT_EQ(world->flash.Contents(world->config.weights_offset, 2 * kPageFloats),
              Factory(*world));
    EXPECT_EQ(World::Counter(next), 0u);
  }
}

// Weights that are the factory's and differ from the last commit by one bit were flashed: nothing
// is mended.
TEST(WeightStoreRotTest, AnImageThatWasFlashedAnewIsNotTakenForDecay) {
  Device device = Made(kStates[1], 40);
  World* world = &device.world;
  World flashed = *world;
  flashed.flash.FlipBits(world->config.weights_offset + 4, 1);
  const std::vector<uint32_t> words =
      flashed.flash.Contents(world->config.weights_offset, 2 * kPageFloats);
  flashed.config.has_factory_crc = true;
  flashed.config.factory_crc = Crc32(0, words.data(), 4 * words.size());
  WeightStore store = flashed.Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kWeightsChanged);
  EXPECT_EQ(store.Open(ForeignState::kDropLearned), StoreStatus::kOk);
  EXPECT_EQ(flashed.flash.Contents(world->config.weights_offset, 2 * kPageFloats), words);
}

// Weights that decay while the device runs are not taken for right by the next commit.
TEST(WeightStoreRotTest, ACommitDoesNotBlessWhatHasDecayed) {
  for (uint32_t bits : {1u, 3u}) {
    Device device = Made(kStates[1], 60);
    World* world = &device.world;
    WeightStore store = Opened(world);
    world->flash.FlipBits(world->config.weights_offset + kPageBytes + 8, bits);
    // The page that decays is not the one that changes.
    Work work;
    work.pool = {1.0f};
    work.runs = {{0, 3, 1}};
    ASSERT_EQ(world->Commit(&store, work), StoreStatus::kOk);
    world->TakeOver(work);
    WeightStore next = world->Start();
    EXPECT_EQ(next.Open(ForeignState::kRefuse),
              bits == 1 ? StoreStatus::kOk : StoreStatus::kWeightsChanged);
    EXPECT_EQ(world->Holds(world->weights), bits == 1);
  }
  for (uint32_t bits : {1u, 3u}) {
    Device device = Made(kStates[1], 61);
    World* world = &device.world;
    WeightStore store = Opened(world);
    world->flash.FlipBits(world->config.weights_offset + 8, bits);
    Work work;
    work.pool = {1.0f};
    work.runs = {{0, 3, 1}};
    EXPECT_EQ(world->Commit(&store, work),
              bits == 1 ? StoreStatus::kOk : StoreStatus::kWeightsChanged);
    world->TakeOver(work);
    EXPECT_EQ(world->Holds(world->weights), bits == 1);
  }
}

// --- heads and weights cannot be confused

// A page of finite numbers that is a head of version 1: magic, CRC, marks.
std::vector<uint32_t> ForgedHead(const World& world) {
  std::vector<uint32_t> words(kPageFloats, 0);
  const uint32_t counts = world.plan.weight_pages + world.plan.journal_pages;
  const uint32_t header[] = {kFirstMagic,
                             1,
                             0x10000,  // A sequence that no other head has.
                             world.config.model_hash[0],
                             world.config.model_hash[1],
                             world.config.weights_offset,
                             world.plan.weight_pages,
                             world.plan.journal_pages,
                             0,
                             0,
                             0,
                             0,
                             16 + counts,
                             0,
                             0};
  std::copy(std::begin(header), std::end(header), words.begin());
  // A count makes the CRC a finite number.
  for (;; ++words[16]) {
    words[15] = HeadCrc(words.data(), words[12]);
    float crc;
    memcpy(&crc, &words[15], sizeof(crc));
    if (crc - crc == 0.0f) break;
  }
  for (uint32_t i = 0; i < 64; i += 2) {
    words[kPageFloats - 64 + i] = i < 32 ? 0x3c96a55au : 0x69c3f00fu;
    words[kPageFloats - 63 + i] = ~words[kPageFloats - 64 + i];
  }
  return words;
}

StoreStatus Push(WeightStore* store, const std::vector<uint32_t>& words, uint32_t finish_words) {
  StoreStatus status = store->BeginReplace();
  if (status == StoreStatus::kOk) status = store->Replace(words.data(), finish_words);
  if (status != StoreStatus::kOk || finish_words < words.size()) return status;
  return store->FinishReplace(nullptr, 0, nullptr);
}

TEST(WeightStoreForgeryTest, PushedWeightsAreNoHead) {
  Device device = Made(kStates[1], 70);
  World* world = &device.world;
  WeightStore store = Opened(world);
  // The true head itself is no weights.
  std::vector<uint32_t> words =
      world->flash.Contents(world->config.journal_offset, world->plan.weight_pages * kPageFloats);
  EXPECT_EQ(Push(&store, words, static_cast<uint32_t>(words.size())), StoreStatus::kNotFinite);
  // One of finite numbers, complete and given up.
  words.clear();
  for (uint32_t p = 0; p < world->plan.weight_pages; ++p) {
    const std::vector<uint32_t> page = ForgedHead(*world);
    words.insert(words.end(), page.begin(), page.end());
  }
  for (uint32_t count : {kPageFloats, 2 * kPageFloats}) {
    ASSERT_EQ(Push(&store, words, count), StoreStatus::kOk);
    store = Opened(world);
    EXPECT_EQ(World::Counter(store), device.counter);
    EXPECT_TRUE(World::HasBulk(store, world->bulk));
  }
  EXPECT_EQ(world->flash.Contents(world->config.weights_offset, 2 * kPageFloats), words);
  const uint32_t counter = World::Counter(store);
  for (uint32_t bit = 0; bit < 32 * kPageFloats; ++bit) {  // Nor with a decayed bit.
    World rotten = *world;
    for (uint32_t page = 0; page < rotten.plan.journal_pages; ++page) {
      Flip(&rotten, 8 * kPageBytes * (rotten.plan.journal_page() + page) + bit);
    }
    if (bit % 16 == 0) {
      WeightStore next = rotten.Start();
      next.Open(ForeignState::kRefuse);
      EXPECT_TRUE(World::Counter(next) == counter || World::Counter(next) == 0) << bit;
    }
  }
}

// A journal of version 1 is refused as such, and can be dropped or replaced.
TEST(WeightStoreForgeryTest, AJournalOfAnotherLayoutIsRecognized) {
  for (bool drops : {false, true}) {
    World world(Plan(), 71);
    world.flash.Program(world.config.journal_offset + kPageBytes, ForgedHead(world));
    const uint64_t before = world.flash.operations();
    WeightStore store = world.Start();
    EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOtherLayout);
    EXPECT_EQ(store.Commit({}), StoreStatus::kOtherLayout);
    EXPECT_EQ(world.flash.operations(), before);
    EXPECT_EQ(drops ? store.Open(ForeignState::kDropLearned) : Reset(&world, &store),
              StoreStatus::kOk);
    Opened(&world);
    if (drops) {
      EXPECT_TRUE(world.Holds(world.weights));
    }
  }
}

// --- every state that blocks commits has a way out

TEST(WeightStoreWayOutTest, WeightsCanBeReplacedWhateverOpenFinds) {
  const auto other_model = [](World* world) { world->config.model_hash[0] ^= 1; };
  const auto changed = [](World* world) {
    world->flash.Program(world->config.weights_offset, Factory(*world));
  };
  const auto failed = [](World* world) {
    world->flash.FailErase(world->plan.weights_page(), true);
  };
  const auto not_closed = [](World* world) {
    // The next head can be committed, but not be marked as done.
    for (uint32_t page = 0; page < world->plan.journal_pages; ++page) {
      const uint32_t begin = world->config.journal_offset + page * kPageBytes;
      const uint32_t done = kPageFloats - kMarkWords * (kNextSlots + kSlots);
      for (uint32_t i = 0; i < kMarkWords * kSlots; ++i) {
        world->flash.StickAtOne(begin + 4 * (done + i), 0xffffffffu);
      }
    }
  };
  const struct {
    StoreStatus status;
    std::function<void(World*)> break_it;
  } cases[] = {{StoreStatus::kOtherModel, other_model},
               {StoreStatus::kWeightsChanged, changed},
               {StoreStatus::kWeightsFailed, failed},
               {StoreStatus::kNotClosed, not_closed}};
  for (const auto& broken : cases) {
    SCOPED_TRACE(StatusName(broken.status));
    Device device = Made(kStates[1], 80);
    World world = device.world;
    {
      WeightStore store = Opened(&world);
      ASSERT_EQ(world.Commit(&store, world.DrawWork(1)), StoreStatus::kOk);
      broken.break_it(&world);
      Work work = world.DrawWork(2);
      if (broken.status == StoreStatus::kNotClosed) work.runs.clear();  // Images would fail.
      world.Commit(&store, work);
    }
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), broken.status);
    EXPECT_EQ(store.Commit({}), broken.status);
    // Repaired, but for what a start would not notice.
    for (uint32_t page = 0; page < world.plan.pages(); ++page) {
      world.flash.FailErase(page, false);
      for (uint32_t word = 0; word < kPageFloats; ++word) {
        world.flash.StickAtOne(page * kPageBytes + 4 * word, 0);
      }
    }
    ASSERT_EQ(Reset(&world, &store), StoreStatus::kOk);
    EXPECT_EQ(world.Commit(&store, world.DrawWork(1)), StoreStatus::kOk);
    Opened(&world);
  }
}

// --- precautions, each alone

// Of word `word` in journal page `page`.
uint32_t JournalBit(const World& world, uint32_t page, uint32_t word, uint32_t bit) {
  return 8 * (world.config.journal_offset + page * kPageBytes + 4 * word) + bit;
}

Device FreshOf(uint32_t weight_pages, uint32_t seed) {
  Plan plan;
  plan.weight_pages = weight_pages;
  Device device(plan, seed);
  Fresh(&device);
  return device;
}

// A head that was mended is written again: a second bit of the same page does no harm.
TEST(WeightStorePrecautionTest, AMendedHeadGivesWayToAnother) {
  Device device = FreshOf(2, 300);
  Flip(&device.world, JournalBit(device.world, 0, 5, 3));
  {
    WeightStore store = Opened(&device.world);
    EXPECT_EQ(store.mended(), 1u);
    EXPECT_EQ(store.sequence(), 2u);
  }
  Flip(&device.world, JournalBit(device.world, 0, 20, 9));
  EXPECT_EQ(Opened(&device.world).sequence(), 2u);
}

// A bit has decayed in a page that stays, in the middle of a commit.
TEST(WeightStorePrecautionTest, ACommitIsCompletedBesideADecayedPage) {
  Device device = FreshOf(3, 301);
  const float one = 1.0f;
  Work work;
  work.runs = {{0, 0, 1}};  // The first page alone.
  work.pool = {one};
  work.counter = 7;
  CutBeforeItsEnd(&device.world, work, 40);
  device.world.TakeOver(work);
  Flip(&device.world, 8 * (device.world.config.weights_offset + kPageBytes) + 100);
  Opened(&device.world);
  EXPECT_TRUE(device.world.Holds(device.world.weights));
}

// An image is lost in more than one bit, but its page is in place: nothing is missing.
TEST(WeightStorePrecautionTest, ALostImageIsNotMissedWhereItsPageIsRight) {
  Device device = FreshOf(2, 302);
  const Work work = device.world.DrawWork(1);
  CutBeforeItsEnd(&device.world, work, 4);  // The done marks.
  device.world.TakeOver(work);
  ASSERT_TRUE(device.world.Holds(device.world.weights));
  Flip(&device.world, JournalBit(device.world, 2, 10, 1));
  Flip(&device.world, JournalBit(device.world, 2, 11, 1));
  Opened(&device.world);
  EXPECT_TRUE(device.world.Holds(device.world.weights));
}

// The sign of a zero is a bit like any other.
TEST(WeightStorePrecautionTest, APageThatIsMendedKeepsItsNegativeZeros) {
  Device device(Plan(), 303);
  World* world = &device.world;
  for (size_t i = 0; i < world->weights.size(); i += kPageFloats) world->weights[i] = -0.0f;
  world->flash.Program(world->config.weights_offset, World::Words(world->weights));
  Fresh(&device);
  Flip(world, 8 * world->config.weights_offset + 100);
  Opened(world);
  EXPECT_TRUE(world->Holds(world->weights));
}

// Heads that could not be read when what was learned was replaced or dropped do not come back when
// they can be read again.
TEST(WeightStorePrecautionTest, LostHeadsStayDeadWhenTheyCanBeReadAgain) {
  for (const bool drops : {false, true}) {
    Device device = FreshOf(2, 309);
    World* world = &device.world;
    {
      WeightStore store = Opened(world);
      for (int i = 0; i < 6; ++i) Commit(&device, &store, 0);  // Heads in pages 1 to 6.
    }
    const std::vector<uint32_t> weights = World::Words(world->weights);
    const auto flip = [&](uint32_t first) {
      for (uint32_t page = first; page < 7; ++page) {
        Flip(world, JournalBit(*world, page, 2, 20));
        Flip(world, JournalBit(*world, page, 3, 20));
      }
    };
    flip(2);
    {
      WeightStore store = world->Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kJournalDamaged);
      ASSERT_EQ(drops ? store.Open(ForeignState::kDropLearned) : Reset(world, &store),
                StoreStatus::kOk);
    }
    flip(5);  // Those before were overwritten.
    WeightStore store = Opened(world);
    EXPECT_EQ(World::Counter(store), 0u);
    EXPECT_EQ(world->flash.Contents(world->config.weights_offset, 2 * kPageFloats),
              drops ? weights : Factory(*world));
  }
}

// What stays in a page is checked, too: else its image could pass for a head.
TEST(WeightStorePrecautionTest, APageWithANumberThatIsNoneIsNotCommitted) {
  Device device(Plan(), 305);
  World* world = &device.world;
  world->weights[9] = std::numeric_limits<float>::infinity();
  world->flash.Program(world->config.weights_offset, World::Words(world->weights));
  WeightStore store = Opened(world);
  Work work;
  work.runs = {{0, 0, 1}};
  work.pool = {1.0f};
  EXPECT_EQ(world->Commit(&store, work), StoreStatus::kNotFinite);
  EXPECT_TRUE(world->Holds(world->weights));
}

// Bulk data that cannot be read any more do not stand in the way of a commit that leaves them.
TEST(WeightStorePrecautionTest, LostBulkDataAreDropped) {
  Device device(Plan().WithBulk(20), 306);
  World* world = &device.world;
  Fresh(&device);
  Work work = world->DrawWork(1);
  work.runs.clear();
  work.bulk = world->DrawBulk(20);
  {
    WeightStore store = Opened(world);
    ASSERT_EQ(world->Commit(&store, work), StoreStatus::kOk);
    ASSERT_TRUE(World::HasBulk(store, work.bulk));
  }
  Flip(world, JournalBit(*world, 2, 3, 1));
  Flip(world, JournalBit(*world, 2, 4, 1));
  WeightStore store = Opened(world);
  ASSERT_FALSE(World::HasBulk(store, work.bulk));
  Work next = world->DrawWork(1);
  next.bulk.clear();
  EXPECT_EQ(world->Commit(&store, next), StoreStatus::kOk);
}

// Bulk data that are dropped must survive until the commit counts: they need their room.
TEST(WeightStorePrecautionTest, DroppedBulkDataNeedRoomOnceMore) {
  Plan plan;
  plan.journal_pages = 8;
  Device device(plan, 307);
  World* world = &device.world;
  WeightStore store = Opened(world);
  const std::vector<uint32_t> data(kPageFloats + 1, 1);
  const Bulk two_pages = {data.data(), kPageFloats + 1}, none = {nullptr, 0};
  ASSERT_EQ(store.Commit({nullptr, nullptr, 0, nullptr, 0, &two_pages}), StoreStatus::kOk);
  const WeightRun run = {0, 0, plan.weight_pages * kPageFloats};
  const ArrayRuns runs(&run, 1);
  const std::vector<float> pool(run.length, 1.0f);
  EXPECT_EQ(store.Commit({&runs, pool.data(), run.length, nullptr, 0, &none}),
            StoreStatus::kJournalTooSmall);
  EXPECT_EQ(store.detail().journal_bytes, 9 * kPageBytes);
}

// Records never take the room that a commit of all pages needs.
TEST(WeightStorePrecautionTest, TheLongestRecordLeavesRoomForAllPages) {
  Device device(Plan(), 308);
  World* world = &device.world;
  WeightStore store = Opened(world);
  const std::vector<uint8_t> data(kPageBytes, 1);
  uint32_t bytes = 0;
  StoreStatus status = StoreStatus::kOk;
  while (status == StoreStatus::kOk) {
    const RecordChange record = {"r", data.data(), ++bytes};
    status = store.Commit({nullptr, nullptr, 0, &record, 1, nullptr});
  }
  ASSERT_EQ(status, StoreStatus::kHeadFull);
  const WeightRun run = {0, 0, world->plan.weight_pages * kPageFloats};
  const ArrayRuns runs(&run, 1);
  const std::vector<float> pool(run.length, 1.0f);
  EXPECT_EQ(store.Commit({&runs, pool.data(), run.length, nullptr, 0, nullptr}), StoreStatus::kOk);
}

// No commit mark can be written, but for a bit that stays; later that bit decays. What was reported
// as failed does not come back.
TEST(WeightStorePrecautionTest, AFailedCommitMarkIsNeverWhole) {
  Device device = FreshOf(2, 304);
  World* world = &device.world;
  const uint32_t first = kPageFloats - kMarkWords * (kNextSlots + 2 * kSlots);
  const auto stick = [&](uint32_t bits) {
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      const uint32_t word = first + kMarkWords * slot + 1;
      world->flash.StickAtOne(world->config.journal_offset + kPageBytes + 4 * word, bits);
    }
  };
  stick(0x80000000u);
  {
    WeightStore store = Opened(world);
    ASSERT_EQ(world->Commit(&store, world->DrawWork(1)), StoreStatus::kJournalFailed);
  }
  stick(0);
  Flip(world, JournalBit(*world, 1, first + 1, 31));
  WeightStore store = Opened(world);
  EXPECT_TRUE(world->Holds(world->weights));
  EXPECT_EQ(World::Counter(store), 0u);
}

// --- wear

// Pushes that are given up are counted, however many they are and whatever state the store is in.
TEST(WeightStoreWearTest, PushesThatAreGivenUpCannotWearAPageOut) {
  for (int blocked = 0; blocked < 3; ++blocked) {
    SCOPED_TRACE(blocked);
    Device device = Made(kStates[1], 90);
    World* world = &device.world;
    world->config.cycle_limit = 300;
    if (blocked > 0) world->flash.FlipBits(world->config.weights_offset, 3);
    if (blocked > 1) {  // No head can be read at all.
      for (uint32_t page = 0; page < world->plan.journal_pages; ++page) {
        world->flash.FlipBits(world->config.journal_offset + page * kPageBytes + 8, 3);
      }
    }
    const std::vector<uint32_t> words = Factory(*world);
    StoreStatus status = StoreStatus::kOk;
    int pushes = 0;
    for (; status == StoreStatus::kOk && pushes < 20000; ++pushes) {
      WeightStore store = world->Start();
      const StoreStatus opened = store.Open(ForeignState::kRefuse);
      // Of a blocked journal's placeholders, too: what they say of the weights fits none.
      ASSERT_EQ(opened == StoreStatus::kOk, blocked == 0) << opened << " after " << pushes;
      status = store.BeginReplace();
      if (status == StoreStatus::kOk) status = store.Replace(words.data(), 1);
      if (blocked > 0) {  // What was found stays, also after a placeholder.
        ASSERT_EQ(store.Commit({}), opened);
      }
    }
    EXPECT_EQ(status, StoreStatus::kWornOut);
    EXPECT_GT(pushes, 100);
    for (uint32_t erases : world->Erases()) EXPECT_LE(erases, 301u);
    if (blocked == 0) {
      WeightStore store = Opened(world);
      EXPECT_TRUE(HasExpected(device, store));
      const uint32_t* counts = store.EraseCounts();
      for (size_t i = 0; i < world->Erases().size(); ++i) EXPECT_GE(counts[i], world->Erases()[i]);
    }
  }
}

// The same where the power goes in each of them. No note is torn without a trace here: that is the
// exception that docs/weight_store.md names.
TEST(WeightStoreWearTest, PushesThatAreCutOffAreCounted) {
  Device device = Made(kStates[1], 91);
  World* world = &device.world;
  world->flash.TearWordsAs(FakeFlash::Tear::kAll);
  const std::vector<uint32_t> words = Factory(*world);
  for (int pushes = 0; pushes < 1000; ++pushes) {
    WeightStore store = Opened(world);
    world->flash.CutAt(static_cast<uint64_t>(world->random.Int(0, 120)));
    if (store.BeginReplace() == StoreStatus::kOk) store.Replace(words.data(), 1);
    world->flash.Restart();
    WeightStore next = Opened(world);
    const std::vector<uint32_t> real = world->Erases();
    const uint32_t* counts = next.EraseCounts();
    for (size_t i = 0; i < real.size(); ++i) ASSERT_GE(counts[i], real[i]) << pushes;
  }
  EXPECT_TRUE(HasExpected(device, Opened(world)));
}

// --- bulk data

TEST(WeightStoreBulkTest, OfAnySizeTheyAreKept) {
  for (uint32_t words : {1u, kPageFloats, kPageFloats + 1, 5 * kPageFloats + 7}) {
    World world(Plan().WithBulk(words), 95);
    WeightStore store = Opened(&world);
    for (int round = 0; round < 12; ++round) {
      Work work = world.DrawWork(static_cast<uint32_t>(world.random.Int(1, 4)));
      if (round % 3 == 1) work.runs.clear();
      ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
      world.TakeOver(work);
      if (world.bulk.empty()) continue;
      EXPECT_TRUE(World::HasBulk(store, world.bulk));
      std::vector<uint32_t> other(words + 1);
      EXPECT_FALSE(store.ReadBulk(other.data(), words + 1)) << "another size";
      store = Opened(&world);
      EXPECT_TRUE(World::HasBulk(store, world.bulk));
    }
    const Bulk none = {nullptr, 0};
    ASSERT_EQ(store.Commit({nullptr, nullptr, 0, nullptr, 0, &none}), StoreStatus::kOk);
    EXPECT_TRUE(World::HasBulk(store, {}));
    EXPECT_EQ(world.flash.written_twice(), 0);
  }
}

TEST(WeightStoreBulkTest, AJournalThatCouldNotKeepThemIsRefusedAtOnce) {
  Plan plan = Plan().WithBulk(kPageFloats);
  plan.journal_pages = 5 + 2 + 1;  // Twice the bulk data would need one more.
  World world(plan, 96);
  WeightStore store = Opened(&world);
  Work work;
  work.pool.resize(5 * kPageFloats, 0.5f);
  work.runs = {{0, 0, 5 * kPageFloats}};
  work.bulk = world.DrawBulk(kPageFloats);
  const uint64_t before = world.flash.operations();
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kJournalTooSmall);
  EXPECT_EQ(store.detail().journal_bytes, 9 * kPageBytes);
  EXPECT_EQ(world.flash.operations(), before);
}

}  // namespace
}  // namespace medyate
