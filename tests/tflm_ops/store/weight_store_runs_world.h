#ifndef TESTS_TFLM_OPS_STORE_WEIGHT_STORE_RUNS_WORLD_H_
#define TESTS_TFLM_OPS_STORE_WEIGHT_STORE_RUNS_WORLD_H_

// The small device of weight_store_world.h with a journal that is too small for the images of all
// pages, so that commits put packed runs there.

#include <stdlib.h>

#include <algorithm>

#include "gtest/gtest.h"
// A head notes each image, and has to have room for that.
#define MEDYATE_TEST_PAGE_BYTES 1024
#include "tests/tflm_ops/store/weight_store_world.h"

namespace medyate {

constexpr uint32_t kRunPages = 2;

inline bool IsNight() { return getenv("MEDYATE_NIGHTLY") != nullptr; }

// The least journal for commits of `kRunPages` pages of runs.
inline Plan SmallPlan(uint32_t spares = 2) {
  Plan plan;
  plan.weight_pages = 8;
  plan.run_pages = kRunPages;
  plan.journal_pages = 2 + kRunPages + spares;
  return plan;
}

// Runs in all of `pages`: whole images of those would not fit. Some cross into the next page.
inline Work DrawRuns(World* world, uint32_t first_page, uint32_t pages) {
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

inline Work DrawAll(World* world) { return DrawRuns(world, 0, world->plan.weight_pages); }

// A device whose last commits were of runs.
inline World UsedRunsWorld(const Plan& plan, uint32_t seed, int commits, uint32_t* counter) {
  return UsedWorld(plan, seed, commits, counter, DrawAll);
}

// Operations of a commit, and those before its first weight page is erased.
struct Operations {
  uint64_t all = 0;
  uint64_t images = 0;
};

inline Operations RunOperationsOf(const World& world, const Work& work) {
  StoreDetail detail;
  Operations operations;
  operations.all = OperationsOf(world, work, &detail);
  EXPECT_GT(detail.run_words, 0u);
  // Of each image: both pages, and a note. Then two done marks.
  operations.images = operations.all - 4 - detail.images * (2 * (1 + uint64_t{kPageFloats}) + 2);
  return operations;
}

// The device after a cut at operation `at` of a commit; chance takes the course of `seed`.
inline World CutDevice(World device, const Work& work, uint64_t at, uint64_t seed) {
  device.Reseed(static_cast<uint32_t>(seed));
  return CutDevice(device, work, at);
}

// The device comes to one epoch or the other, and commits go on.
inline bool Settle(World* device, const Work& work, uint32_t old_counter, int more_cuts,
                   int* cuts) {
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

}  // namespace medyate

#endif  // TESTS_TFLM_OPS_STORE_WEIGHT_STORE_RUNS_WORLD_H_
