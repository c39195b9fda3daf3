#include "tflm_ops/store/weight_store.h"

#include <algorithm>
#include <limits>
#include <set>

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/weight_store_world.h"
#include "tflm_ops/store/wear.h"

namespace medyate {
namespace {

Change Empty() { return {}; }

StoreStatus Put(WeightStore* store, const char* name, const std::string& data) {
  const RecordChange record = {name, data.data(), static_cast<uint32_t>(data.size())};
  Change change = Empty();
  change.records = &record;
  change.record_count = 1;
  return store->Commit(change);
}

// The record's bytes, or "none".
std::string Get(const WeightStore& store, const char* name) {
  char data[300];
  uint32_t bytes = 0;
  return store.ReadRecord(name, data, sizeof(data), &bytes) ? std::string(data, bytes) : "none";
}

TEST(WeightStoreTest, BeginsOnceAndThenOnlyReads) {
  World world(Plan(), 1);
  for (int i = 0; i < 3; ++i) {
    const uint64_t before = world.flash.operations();
    WeightStore store = world.Start();
    EXPECT_EQ(store.Commit(Empty()), StoreStatus::kNotOpen);
    EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    EXPECT_EQ(store.sequence(), 1u);
    EXPECT_EQ(store.Commit(Empty()), StoreStatus::kOk);
    EXPECT_EQ(world.flash.operations() == before, i > 0);
  }
  EXPECT_TRUE(world.Holds(world.weights));
}

TEST(WeightStoreTest, NamesEveryStatus) {
  EXPECT_STREQ(StatusName(StoreStatus::kOk), "kOk");
  EXPECT_STREQ(StatusName(StoreStatus::kNotFinite), "kNotFinite");
  EXPECT_STREQ(StatusName(StoreStatus::kJournalFailed), "kJournalFailed");
  EXPECT_STREQ(StatusName(StoreStatus::kNotClosed), "kNotClosed");
  EXPECT_STREQ(StatusName(static_cast<StoreStatus>(200)), "unknown");
}

TEST(WeightStoreTest, AddsBitForBitAndKeepsItAcrossStarts) {
  for (uint32_t seed = 0; seed < 8; ++seed) {
    Plan plan;
    plan.weight_pages = 1 + seed % 5;
    plan.journal_pages = plan.weight_pages + 2 + seed % 3;
    World world(plan, 10 + seed);
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    for (uint32_t i = 0; i < 30; ++i) {
      const int pages = world.random.Int(1, static_cast<int>(plan.weight_pages));
      const Work work = world.DrawWork(static_cast<uint32_t>(pages));
      ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
      world.TakeOver(work);
      ASSERT_TRUE(world.Holds(world.weights));
      EXPECT_LE(store.detail().images, static_cast<uint32_t>(pages));
      EXPECT_EQ(store.sequence(), i + 2);
      WeightStore next = world.Start();
      ASSERT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
      EXPECT_EQ(World::Counter(next), work.counter);
      EXPECT_EQ(next.sequence(), i + 2);
      if (world.random.Int(0, 1) == 0) store = next;
    }
    EXPECT_EQ(world.flash.written_twice(), 0);
    EXPECT_EQ(world.flash.most_writes(), 1);
    EXPECT_TRUE(world.NeighboursAreUntouched());
  }
}

TEST(WeightStoreTest, RefusesRunsOutsideBeforeAnythingIsWritten) {
  World world(Plan(), 30);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const uint32_t weights = world.plan.weight_pages * kPageFloats;
  const uint64_t before = world.flash.operations();
  const WeightRun bad[] = {{0, weights - 1, 2}, {9, 0, 2},       {0xffffffffu, 0, 2},
                           {0, 0xffffffffu, 2}, {0, weights, 1}, {11, 0, 0},
                           {0, 1, 0xffffffffu}};
  for (const WeightRun& run : bad) {
    Work work;
    work.pool.resize(10);
    work.runs = {{0, 0, 10}, run};
    EXPECT_EQ(world.Commit(&store, work), StoreStatus::kBadRuns);
    EXPECT_EQ(store.detail().run, 1u);
  }
  const WeightRun run = {0, 0, 10};
  const ArrayRuns runs(&run, 1);
  EXPECT_EQ(store.Commit({&runs, nullptr, 10, nullptr, 0, nullptr}), StoreStatus::kBadRuns);
  EXPECT_EQ(world.flash.operations(), before);
}

TEST(WeightStoreTest, RefusesWhatIsNotFinite) {
  World world(Plan(), 31);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const uint64_t before = world.flash.operations();
  for (float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Work work = world.DrawWork(4);
    const WeightRun last = work.runs.back();
    work.pool[last.pool_offset + last.length - 1] = bad;
    EXPECT_EQ(world.Commit(&store, work), StoreStatus::kNotFinite);
    EXPECT_EQ(store.detail().run, work.runs.size() - 1);
  }
  EXPECT_EQ(world.flash.operations(), before);
  EXPECT_EQ(world.Commit(&store, world.DrawWork(1)), StoreStatus::kOk);
}

TEST(WeightStoreTest, SaysHowLargeAJournalMustBe) {
  Plan plan;
  plan.journal_pages = 5;
  World world(plan, 32);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const uint64_t before = world.flash.operations();
  Work work;
  work.pool.resize(kPageFloats * 5, 1.0f);
  work.runs = {{0, 10, 3 * kPageFloats}};  // Touches four pages.
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kJournalTooSmall);
  EXPECT_EQ(store.detail().journal_bytes, 6 * kPageBytes);
  EXPECT_EQ(world.flash.operations(), before);
  work.runs = {{0, 0, 3 * kPageFloats}};  // Three: what fits.
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(world.Commit(&store, work), StoreStatus::kOk);
    world.TakeOver(work);
    EXPECT_TRUE(world.Holds(world.weights));
  }
}

TEST(WeightStoreTest, RefusesAnUnsoundConfig) {
  World world(Plan(), 33);
  StoreConfig good = world.config;
  const auto open = [&world] { return world.Start().Open(ForeignState::kRefuse); };
  world.config.journal_pages = 2;
  EXPECT_EQ(open(), StoreStatus::kBadConfig);
  world.config = good;
  world.config.weights_offset += 4;
  EXPECT_EQ(open(), StoreStatus::kBadConfig);
  world.config = good;
  world.config.journal_offset = world.config.weights_offset + kPageBytes;
  EXPECT_EQ(open(), StoreStatus::kBadConfig);
  world.config = good;
  world.config.weight_pages = 0x01000000u;
  EXPECT_EQ(open(), StoreStatus::kBadConfig);
  WeightStore store = world.Start();
  EXPECT_EQ(store.Open(ForeignState::kDropLearned), StoreStatus::kBadConfig);
  EXPECT_EQ(store.BeginReplace(), StoreStatus::kBadConfig);
  EXPECT_EQ(world.flash.operations(), 0u);
}

TEST(WeightStoreTest, KeepsRecords) {
  World world(Plan(), 40);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  EXPECT_EQ(Put(&store, "class.3", "knock"), StoreStatus::kOk);
  EXPECT_EQ(Put(&store, "class.4", ""), StoreStatus::kOk);
  EXPECT_EQ(Put(&store, "class.3", "clap!"), StoreStatus::kOk);
  WeightStore next = world.Start();
  ASSERT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOk);
  EXPECT_EQ(Get(next, "class.3"), "clap!");
  EXPECT_EQ(Get(next, "class.4"), "");
  EXPECT_EQ(Get(next, "class"), "none");
  const RecordChange changes[] = {
      {"class.3", nullptr, 0}, {"a", "first", 5}, {"a", "second", 6}, {"missing", nullptr, 0}};
  Change change = Empty();
  change.records = changes;
  change.record_count = 4;
  EXPECT_EQ(next.Commit(change), StoreStatus::kOk);
  EXPECT_EQ(Get(next, "class.3"), "none");
  EXPECT_EQ(Get(next, "class.4"), "");
  EXPECT_EQ(Get(next, "a"), "second");
  char two[2];
  uint32_t bytes = 0;
  EXPECT_TRUE(next.ReadRecord("a", two, 2, &bytes));
  EXPECT_EQ(std::string(two, 2), "se");
  EXPECT_EQ(bytes, 6u);
  // No weight page was erased for that.
  for (uint32_t p = 0; p < 5; ++p) EXPECT_EQ(world.Erases()[p], 0u);
}

TEST(WeightStoreTest, RefusesRecordsThatDoNotFit) {
  World world(Plan(), 41);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  EXPECT_EQ(Put(&store, "long", std::string(kPageBytes, 'x')), StoreStatus::kHeadFull);
  EXPECT_GT(store.detail().head_bytes, kPageBytes);
  EXPECT_EQ(Put(&store, "", "x"), StoreStatus::kBadRecord);
  EXPECT_EQ(Put(&store, std::string(256, 'n').c_str(), "x"), StoreStatus::kBadRecord);
  const RecordChange huge = {"n", "x", kMostRecordBytes + 1};
  Change change = Empty();
  change.records = &huge;
  change.record_count = 1;
  EXPECT_EQ(store.Commit(change), StoreStatus::kBadRecord);
  EXPECT_EQ(store.sequence(), 1u);
}

TEST(WeightStoreTest, RefusesOrDropsAnotherModelsState) {
  World world(Plan(), 50);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const Work work = world.DrawWork(3);
  ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
  const std::vector<uint32_t> erases = world.Erases();
  world.config.model_hash[0] ^= 1;
  world.weights = world.random.Floats(static_cast<int>(world.weights.size()));
  world.flash.Program(world.config.weights_offset, World::Words(world.weights));
  const uint64_t before = world.flash.operations();
  WeightStore next = world.Start();
  EXPECT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOtherModel);
  EXPECT_EQ(world.Commit(&next, work), StoreStatus::kOtherModel);
  EXPECT_EQ(Get(next, "counter"), "none");
  EXPECT_EQ(world.flash.operations(), before);
  EXPECT_EQ(next.Open(ForeignState::kDropLearned), StoreStatus::kOk);
  EXPECT_EQ(Get(next, "counter"), "none");
  EXPECT_TRUE(world.Holds(world.weights));
  // What the pages have been through is not forgotten.
  const uint32_t* counts = next.EraseCounts();
  for (size_t i = 0; i < erases.size(); ++i) EXPECT_GE(counts[i], erases[i]);
  EXPECT_EQ(world.Start().Open(ForeignState::kRefuse), StoreStatus::kOk);
}

// A firmware whose journal is shorter, and ends where the old one did, sees the last pages of that
// one alone: whatever lies there, wherever the power went, it takes nothing for its own, and the
// old firmware still finds all of it.
TEST(WeightStoreTest, AJournalOfAnotherSizeIsRefusedAndLeftAsItIs) {
  std::set<StoreStatus> seen;
  for (uint32_t seed = 0; seed < 120 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Plan plan;
    plan.journal_pages = 2 * plan.weight_pages + 2;
    World world(seed % 4 < 2 ? plan : plan.WithBulk(10), 700 + seed);
    world.config.has_factory_crc = true;
    const std::vector<float> factory = world.weights;
    world.config.factory_crc = Crc32(0, factory.data(), 4 * factory.size());
    const StoreConfig old_config = world.config;
    StoreConfig config = old_config;
    config.journal_pages -= plan.weight_pages;
    config.journal_offset += plan.weight_pages * kPageBytes;
    uint32_t counter = 0;
    {
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      for (uint32_t i = 0; i < 1 + seed / 2 % 9; ++i) {
        const Work work = world.DrawWork(1 + (seed + i) % plan.weight_pages);
        ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
        world.TakeOver(work);
        counter = work.counter;
      }
    }
    const Work last = world.DrawWork(1 + seed % plan.weight_pages);
    if (seed % 2 == 1) {
      WeightStore store = world.Start();
      ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      world.flash.CutAt(static_cast<uint64_t>(world.random.Int(0, 900)));
      world.Commit(&store, last);
      world.flash.Restart();
    }
    world.config = config;
    for (ForeignState foreign : {ForeignState::kRefuse, ForeignState::kDropLearned}) {
      WeightStore store = world.Start();
      const StoreStatus status = store.Open(foreign);
      seen.insert(status);
      EXPECT_NE(status, StoreStatus::kOk);
      EXPECT_EQ(world.Commit(&store, last), status);
      EXPECT_EQ(Get(store, "counter"), "none");
      EXPECT_FALSE(store.AreWeightsRight());
    }
    world.config = old_config;
    int cuts = 0;
    world.Recover(0, 0, &cuts);
    world.CheckEpoch(world.After(last), last.counter, counter, world.BulkAfter(last));
    // An upload brings the factory's weights.
    world.flash.Program(config.weights_offset, World::Words(factory));
    world.weights = factory;
    world.config = config;
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kDropLearned), StoreStatus::kOk);
    EXPECT_EQ(Get(store, "counter"), "none");
    const Work work = world.DrawWork(plan.weight_pages);
    ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
    world.TakeOver(work);
    EXPECT_EQ(world.Start().Open(ForeignState::kRefuse), StoreStatus::kOk);
    EXPECT_TRUE(world.Holds(world.weights));
    EXPECT_TRUE(world.NeighboursAreUntouched());
  }
  const std::set<StoreStatus> refusals = {StoreStatus::kOtherModel, StoreStatus::kWeightsChanged,
                                          StoreStatus::kJournalDamaged};
  EXPECT_EQ(seen, refusals);
}

// Erase counts of a journal with other pages are nobody's.
TEST(WeightStoreTest, CountsOfOtherPagesAreNotTakenOver) {
  World world(Plan(), 52);
  {
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    for (int i = 0; i < 9; ++i) {
      ASSERT_EQ(world.Commit(&store, world.DrawWork(1)), StoreStatus::kOk);
    }
  }
  world.config.weight_pages -= 2;
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kDropLearned), StoreStatus::kOk);
  const uint32_t* counts = store.EraseCounts();
  uint32_t sum = 0;
  for (uint32_t i = 0; i < world.config.weight_pages + world.plan.journal_pages; ++i) {
    sum += counts[i];
  }
  EXPECT_EQ(sum, 1u) << "that of the new head";
}

TEST(WeightStoreTest, NoticesWeightsThatAreNotItsOwn) {
  World world(Plan(), 51);
  world.config.has_factory_crc = true;
  world.config.factory_crc = Crc32(0, world.weights.data(), 4 * world.weights.size());
  const std::vector<float> factory = world.weights;
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  ASSERT_EQ(world.Commit(&store, world.DrawWork(3)), StoreStatus::kOk);
  // Two bits decay: neither the journal nor the factory knows such weights.
  world.flash.FlipBits(world.config.weights_offset + 400, 0x11);
  EXPECT_EQ(world.Start().Open(ForeignState::kRefuse), StoreStatus::kWeightsChanged);
  EXPECT_EQ(world.Start().Open(ForeignState::kDropLearned), StoreStatus::kWeightsChanged);
  // The same image is flashed again.
  world.flash.Program(world.config.weights_offset, World::Words(factory));
  EXPECT_EQ(world.Start().Open(ForeignState::kRefuse), StoreStatus::kWeightsChanged);
  EXPECT_EQ(world.Start().Open(ForeignState::kDropLearned), StoreStatus::kOk);
  EXPECT_EQ(world.Start().Open(ForeignState::kRefuse), StoreStatus::kOk);
  EXPECT_TRUE(world.Holds(factory));
}

// Layers with their slots at random, against the selection written out.
TEST(SelectionRunsTest, FollowTheSelection) {
  math::Random random(60);
  for (int round = 0; round < 200; ++round) {
    std::vector<TrainedLayer> layers;
    std::vector<int32_t> selection;
    std::vector<WeightRun> expected;
    uint32_t weights = 0, pool = 0;
    for (int i = 0; i < random.Int(1, 4); ++i) {
      const int channels = random.Int(1, 9), drawn = random.Int(0, channels);
      TrainedLayer layer = {};
      layer.selection_offset = static_cast<uint32_t>(selection.size());
      layer.channel_weights = static_cast<uint32_t>(random.Int(1, 20));
      layer.weights_offset = weights;
      layer.biases = static_cast<uint32_t>(random.Int(0, 3));
      selection.push_back(drawn);
      selection.push_back(static_cast<int32_t>(pool));
      std::vector<uint16_t> chosen = random.Channels(channels, drawn);
      for (int c = 0; c < drawn; ++c) {
        expected.push_back({pool + static_cast<uint32_t>(c) * layer.channel_weights,
                            weights + chosen[c] * layer.channel_weights, layer.channel_weights});
      }
      chosen.resize(channels + 1);
      for (int c = 0; c < channels; c += 2) selection.push_back(chosen[c] | chosen[c + 1] << 16);
      pool += static_cast<uint32_t>(drawn) * layer.channel_weights + 5;
      weights += static_cast<uint32_t>(channels) * layer.channel_weights;
      layer.bias_pool_offset = pool;
      layer.bias_weights_offset = weights;
      if (layer.biases > 0) expected.push_back({pool, weights, layer.biases});
      pool += layer.biases;
      weights += layer.biases;
      layers.push_back(layer);
    }
    const SelectionRuns runs(layers.data(), static_cast<uint32_t>(layers.size()), selection.data());
    ASSERT_EQ(runs.count(), expected.size());
    for (uint32_t i = 0; i < runs.count(); ++i) {
      EXPECT_EQ(runs.run(i).pool_offset, expected[i].pool_offset);
      EXPECT_EQ(runs.run(i).weight_offset, expected[i].weight_offset);
      EXPECT_EQ(runs.run(i).length, expected[i].length);
    }
  }
}

uint32_t Spread(const std::vector<uint32_t>& erases, uint32_t first) {
  const auto range = std::minmax_element(erases.begin() + first, erases.end());
  return *range.second - *range.first;
}

TEST(WearTest, CountsEveryEraseAndSpreadsThemEvenly) {
  for (uint32_t seed = 0; seed < 6; ++seed) {
    Plan plan;
    plan.weight_pages = 4;
    plan.journal_pages = 6 + seed;
    World world(plan, 70 + seed);
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    const uint32_t most = std::min(plan.weight_pages, plan.journal_pages / 2 - 1);
    uint32_t images = 0;
    for (uint32_t i = 0; i < 200; ++i) {
      const int pages = world.random.Int(1, static_cast<int>(most));
      const Work work = world.DrawWork(static_cast<uint32_t>(pages));
      ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
      images += store.detail().images;
      const std::vector<uint32_t> real = world.Erases();
      const uint32_t* counts = store.EraseCounts();
      ASSERT_EQ(std::vector<uint32_t>(counts, counts + real.size()), real);
      // A ring of at least twice the transaction is never interrupted by the last head.
      ASSERT_LE(Spread(real, plan.weight_pages), 1u);
      world.TakeOver(work);
      if (i % 7 == 0) {
        ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      }
    }
    uint32_t journal_erases = 0;
    for (uint32_t p = 0; p < plan.journal_pages; ++p) {
      journal_erases += world.Erases()[plan.weight_pages + p];
    }
    EXPECT_EQ(journal_erases, 1 + 200 + images);
  }
}

// A journal as small as it may be has to spare its last head. No page is erased twice a commit.
TEST(WearTest, StaysBelowOneEraseACommitInTheSmallestJournal) {
  Plan plan;
  plan.journal_pages = 5;
  World world(plan, 80);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const int kCommits = 300;
  for (int i = 0; i < kCommits; ++i) {
    const uint32_t pages = static_cast<uint32_t>(world.random.Int(1, 3));
    ASSERT_EQ(world.Commit(&store, world.DrawWork(pages)), StoreStatus::kOk);
  }
  for (uint32_t p = 0; p < plan.journal_pages; ++p) {
    EXPECT_LE(world.Erases()[plan.weight_pages + p], kCommits + 1u);
  }
}

TEST(WearTest, StopsAtTheLimitBeforeAnythingIsWritten) {
  World world(Plan(), 81);
  world.config.cycle_limit = 20;
  const FlashTraits traits = {kPageBytes, 85000, 41, 20};
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  Work work;
  work.pool.resize(300, 0.25f);
  work.runs = {{0, 5, 300}};
  const uint32_t predicted =
      CommitsLeft(traits, store.EraseCounts(), world.plan.weight_pages, 8, 3, 0);
  uint32_t commits = 0;
  while (world.Commit(&store, work) == StoreStatus::kOk) {
    world.TakeOver(work);
    ++commits;
    EXPECT_LE(CommitsLeft(traits, store.EraseCounts(), world.plan.weight_pages, 8, 3, 0),
              predicted - commits);
  }
  EXPECT_EQ(commits, 20u);  // The weight pages end it: the journal sees half as many erases.
  EXPECT_EQ(predicted, 20u);
  const uint64_t before = world.flash.operations();
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kWornOut);
  EXPECT_EQ(store.detail().failed_offset, world.config.weights_offset);
  EXPECT_EQ(world.flash.operations(), before);
  EXPECT_TRUE(world.Holds(world.weights));
  // Other pages go on.
  work.runs = {{0, 4 * kPageFloats, 100}};
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kOk);
}

// The prediction never promises more than the journal gives, however small it is.
TEST(WearTest, PredictsTheJournalsLifeFromBelow) {
  for (uint32_t journal_pages = 4; journal_pages < 9; ++journal_pages) {
    Plan plan;
    plan.journal_pages = journal_pages;
    World world(plan, 82);
    WeightStore store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    world.config.cycle_limit = 12;
    store = world.Start();
    ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
    const FlashTraits traits = {kPageBytes, 85000, 41, 12};
    const uint32_t predicted = CommitsLeft(traits, store.EraseCounts(), 5, journal_pages, 0, 0);
    uint32_t commits = 0;
    while (Put(&store, "n", std::to_string(commits)) == StoreStatus::kOk) ++commits;
    EXPECT_LE(predicted, commits);
    // All pages count as the worst one does, which is one erase ahead of the others.
    EXPECT_GE(predicted + journal_pages, commits);
  }
}

TEST(WearTest, TimesACommitByWhatItDoes) {
  World world(Plan(), 83);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  for (uint32_t pages = 1; pages <= 5; ++pages) {
    Work work;
    work.pool.resize(pages * kPageFloats, 0.5f);
    work.runs = {{0, 0, pages * kPageFloats}};
    const auto total = [&world] {
      uint64_t sum = 0;
      for (uint32_t erases : world.Erases()) sum += erases;
      return sum;
    };
    const uint64_t erases = total(), operations = world.flash.operations();
    ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
    const uint64_t erased = total() - erases;
    const uint64_t words = world.flash.operations() - operations - erased;
    FlashTraits traits = kNrf52840Traits;
    traits.page_bytes = kPageBytes;
    EXPECT_EQ(CommitMicroseconds(traits, pages, 0, store.detail().head_bytes / 4, 0),
              erased * 85000 + words * 41);
  }
}

}  // namespace
}  // namespace medyate
