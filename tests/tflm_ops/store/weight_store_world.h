#ifndef TESTS_TFLM_OPS_STORE_WEIGHT_STORE_WORLD_H_
#define TESTS_TFLM_OPS_STORE_WEIGHT_STORE_WORLD_H_

// A small device for the weight store's tests: flash with a weights region and a journal, and
// random commits whose outcome is worked out apart from the store.

#include <stdint.h>
#include <string.h>

#include <ostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/fake_flash.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/store/crc32.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {

inline std::ostream& operator<<(std::ostream& out, StoreStatus status) {
  return out << StatusName(status);
}

#ifndef MEDYATE_TEST_PAGE_BYTES
#define MEDYATE_TEST_PAGE_BYTES 640
#endif
constexpr uint32_t kPageBytes = MEDYATE_TEST_PAGE_BYTES;
constexpr uint32_t kPageFloats = kPageBytes / 4;

// Where things lie: a page that nobody may touch, weights, another one, journal, another one.
struct Plan {
  uint32_t weight_pages = 5;
  uint32_t journal_pages = 7;  // The least for a commit of all weights.
  uint32_t bulk_words = 0;     // Of the bulk data that commits change.
  uint32_t run_pages = 0;      // That commits of packed runs may take.

  // The same with bulk data of so many words, and room for them.
  Plan WithBulk(uint32_t words) const {
    Plan plan = *this;
    plan.bulk_words = words;
    plan.journal_pages += 2 * ((words + kPageFloats - 1) / kPageFloats);
    return plan;
  }
  uint32_t weights_page() const { return 1; }
  uint32_t journal_page() const { return weight_pages + 2; }
  uint32_t pages() const { return weight_pages + journal_pages + 3; }
};

// A commit's arguments, with the memory they point to.
struct Work {
  std::vector<WeightRun> runs;
  std::vector<float> pool;
  uint32_t counter = 0;        // Stored in the record "counter" along with the weights.
  std::vector<uint32_t> bulk;  // Empty: what there is stays.
};

class World {
 public:
  World(const Plan& plan, uint32_t seed)
      : plan(plan), random(seed), flash(kPageBytes, plan.pages(), seed + 1), page_(kPageFloats) {
    weights = random.Floats(static_cast<int>(plan.weight_pages * kPageFloats));
    config = {{0x89abcdefu, 0x01234567u},
              plan.weights_page() * kPageBytes,
              plan.weight_pages,
              plan.journal_page() * kPageBytes,
              plan.journal_pages,
              0,
              false,
              0,
              nullptr,
              plan.run_pages};
    flash.Program(config.weights_offset, Words(weights));
  }

  // From here on chance takes another course.
  void Reseed(uint32_t seed) {
    random = math::Random(seed);
    flash.Reseed(seed + 1);
  }

  WeightStore Start() { return WeightStore(&flash, config, page_.data()); }

  // Starts the device until it gets through, cutting the power meanwhile at one of the first
  // `most_operations` of the recovery itself, at most `most_cuts` times.
  void Recover(int most_cuts, int most_operations, int* cuts) {
    for (int i = 0;; ++i) {
      flash.Restart();
      if (i < most_cuts) flash.CutAt(static_cast<uint64_t>(random.Int(0, most_operations)));
      WeightStore store = Start();
      const StoreStatus status = store.Open(ForeignState::kRefuse);
      if (!flash.is_cut()) {
        flash.Restart();
        EXPECT_EQ(status, StoreStatus::kOk);
        return;
      }
      ++*cuts;
    }
  }

  // Whether flash holds the new epoch; if not it must hold the old one, weights, record and bulk
  // data alike, and later starts must agree. Takes over what it found.
  bool CheckEpoch(const std::vector<float>& after, uint32_t counter, uint32_t old_counter,
                  const std::vector<uint32_t>& bulk_after) {
    const bool is_new = !Holds(weights);
    EXPECT_TRUE(!is_new || Holds(after)) << "neither the old nor the new epoch";
    for (int i = 0; i < 2; ++i) {
      WeightStore store = Start();
      EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
      EXPECT_TRUE(Holds(is_new ? after : weights)) << "a later start disagrees";
      EXPECT_EQ(Counter(store), is_new ? counter : old_counter);
      EXPECT_TRUE(HasBulk(store, is_new ? bulk_after : bulk));
    }
    if (is_new) weights = after;
    if (is_new) bulk = bulk_after;
    return is_new;
  }

  // Runs that do not overlap and touch at most `most_pages` pages.
  Work DrawWork(uint32_t most_pages) {
    Work work;
    const int first = random.Int(0, static_cast<int>(plan.weight_pages - most_pages));
    const uint32_t begin = static_cast<uint32_t>(first) * kPageFloats;
    const uint32_t end = begin + most_pages * kPageFloats;
    for (uint32_t at = begin + static_cast<uint32_t>(random.Int(0, 40)); at < end;) {
      const uint32_t wanted = static_cast<uint32_t>(random.Int(1, 150));
      const uint32_t length = std::min(wanted, end - at);
      work.runs.push_back({static_cast<uint32_t>(work.pool.size()), at, length});
      for (float weight : random.Floats(static_cast<int>(length))) work.pool.push_back(weight);
      for (float gap : random.Floats(random.Int(0, 3))) work.pool.push_back(gap);
      at += length + static_cast<uint32_t>(random.Int(0, 200));
    }
    work.counter = static_cast<uint32_t>(random.Int(0, 1 << 30));
    if (plan.bulk_words > 0 && random.Int(0, 2) > 0) work.bulk = DrawBulk(plan.bulk_words);
    return work;
  }

  std::vector<uint32_t> DrawBulk(uint32_t words) {
    std::vector<uint32_t> drawn(words);
    for (uint32_t& word : drawn) word = static_cast<uint32_t>(random.Int(1, 1 << 30));
    return drawn;
  }

  // Exactly what a commit of the work must make of the weights.
  std::vector<float> After(const Work& work) const {
    std::vector<float> result = weights;
    for (const WeightRun& run : work.runs) {
      for (uint32_t i = 0; i < run.length; ++i) {
        result[run.weight_offset + i] = work.pool[run.pool_offset + i];
      }
    }
    return result;
  }

  std::vector<uint32_t> BulkAfter(const Work& work) const {
    return work.bulk.empty() ? bulk : work.bulk;
  }

  // A commit that succeeded.
  void TakeOver(const Work& work) {
    weights = After(work);
    bulk = BulkAfter(work);
  }

  StoreStatus Commit(WeightStore* store, const Work& work) const {
    const ArrayRuns runs(work.runs.data(), static_cast<uint32_t>(work.runs.size()));
    const RecordChange record = {"counter", &work.counter, sizeof(work.counter)};
    const Bulk bulk = {work.bulk.data(), static_cast<uint32_t>(work.bulk.size())};
    return store->Commit({&runs, work.pool.data(), static_cast<uint32_t>(work.pool.size()), &record,
                          1, work.bulk.empty() ? nullptr : &bulk});
  }

  static uint32_t Counter(const WeightStore& store) {
    uint32_t counter = 0, bytes = 0;
    return store.ReadRecord("counter", &counter, sizeof(counter), &bytes) && bytes == 4 ? counter
                                                                                        : 0;
  }

  // Whether the store has exactly these bulk data.
  static bool HasBulk(const WeightStore& store, const std::vector<uint32_t>& expected) {
    std::vector<uint32_t> read(expected.size());
    return store.ReadBulk(read.data(), static_cast<uint32_t>(read.size())) && read == expected;
  }

  // Whether flash holds exactly these weights and will go on doing so.
  bool Holds(const std::vector<float>& expected) const {
    const uint32_t words = plan.weight_pages * kPageFloats;
    return flash.IsStable(config.weights_offset, words) &&
           flash.Contents(config.weights_offset, words) == Words(expected);
  }

  static std::vector<uint32_t> Words(const std::vector<float>& floats) {
    std::vector<uint32_t> words(floats.size());
    memcpy(words.data(), floats.data(), 4 * floats.size());
    return words;
  }

  // Real erases of each page, in the store's order.
  std::vector<uint32_t> Erases() const {
    std::vector<uint32_t> erases;
    for (uint32_t i = 0; i < plan.weight_pages; ++i) {
      erases.push_back(flash.erases(plan.weights_page() + i));
    }
    for (uint32_t i = 0; i < plan.journal_pages; ++i) {
      erases.push_back(flash.erases(plan.journal_page() + i));
    }
    return erases;
  }

  // Whether the pages around weights and journal were left alone.
  bool NeighboursAreUntouched() const {
    return flash.erases(0) == 0 && flash.erases(plan.weight_pages + 1) == 0 &&
           flash.erases(plan.pages() - 1) == 0;
  }

  const Plan plan;
  math::Random random;
  FakeFlash flash;
  StoreConfig config;
  std::vector<float> weights;  // Of the last commit that the test knows of.
  std::vector<uint32_t> bulk;

 private:
  std::vector<uint32_t> page_;
};

inline void ExpectRulesKept(const World& world) {
  EXPECT_EQ(world.flash.written_twice(), 0);
  EXPECT_EQ(world.flash.written_unstable(), 0);
  EXPECT_TRUE(world.NeighboursAreUntouched());
}

// A device that has seen a few commits of what `draw` draws, so that the journal stands somewhere
// in its rotation.
template <typename Draw>
World UsedWorld(const Plan& plan, uint32_t seed, int commits, uint32_t* counter, const Draw& draw) {
  World world(plan, seed);
  WeightStore store = world.Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  for (int i = 0; i < commits; ++i) {
    const Work work = draw(&world);
    EXPECT_EQ(world.Commit(&store, work), StoreStatus::kOk);
    world.TakeOver(work);
    *counter = work.counter;
  }
  return world;
}

// Operations of a commit.
inline uint64_t OperationsOf(World world, const Work& work, StoreDetail* detail = nullptr) {
  WeightStore store = world.Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const uint64_t before = world.flash.operations();
  EXPECT_EQ(world.Commit(&store, work), StoreStatus::kOk);
  if (detail) *detail = store.detail();
  return world.flash.operations() - before;
}

// The device after a cut at operation `at` of a commit.
inline World CutDevice(World device, const Work& work, uint64_t at) {
  WeightStore store = device.Start();
  EXPECT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  device.flash.CutAt(at);
  device.Commit(&store, work);
  EXPECT_TRUE(device.flash.is_cut());
  device.flash.Restart();
  return device;
}

}  // namespace medyate

#endif  // TESTS_TFLM_OPS_STORE_WEIGHT_STORE_WORLD_H_
