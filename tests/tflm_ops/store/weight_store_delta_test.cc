// The learned state as a sparse delta: exact, refused where it does not belong, and carried over
// a model update through the store.

#include <algorithm>
#include <limits>

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/weight_store_world.h"
#include "tflm_ops/store/sparse_delta.h"

namespace medyate {

inline std::ostream& operator<<(std::ostream& out, DeltaStatus status) {
  return out << DeltaStatusName(status);
}

namespace {

const uint32_t kHash[2] = {0x11112222u, 0x33334444u};
const uint32_t kOtherHash[2] = {0x11112222u, 0x33334445u};

using math::SameBits;

// Some weights changed, in runs and alone.
std::vector<float> Learn(math::Random* random, const std::vector<float>& factory) {
  std::vector<float> current = factory;
  const int n = static_cast<int>(factory.size());
  for (int run = random->Int(0, 8); run > 0; --run) {
    const int begin = random->Int(0, n - 1), end = std::min(n, begin + random->Int(1, 20));
    for (int i = begin; i < end; ++i) {
      if (random->Int(0, 4) > 0) current[i] += random->Float();
    }
  }
  return current;
}

std::vector<uint32_t> Encode(DeltaKind kind, const std::vector<float>& factory,
                             const std::vector<float>& current) {
  const uint32_t n = static_cast<uint32_t>(factory.size());
  std::vector<uint32_t> delta(
      EncodeDelta(kind, kHash, factory.data(), current.data(), n, nullptr, 0));
  EXPECT_EQ(EncodeDelta(kind, kHash, factory.data(), current.data(), n, delta.data(),
                        static_cast<uint32_t>(delta.size())),
            delta.size());
  return delta;
}

DeltaStatus Apply(const std::vector<uint32_t>& delta, const uint32_t* hash, DeltaOwner owner,
                  std::vector<float>* weights) {
  return ApplyDelta(delta.data(), static_cast<uint32_t>(delta.size()), hash, owner,
                    static_cast<uint32_t>(weights->size()), weights->data());
}

TEST(SparseDeltaTest, ValuesComeBackBitForBit) {
  math::Random random(1);
  for (int round = 0; round < 300; ++round) {
    const std::vector<float> factory = random.Floats(random.Int(1, 200));
    const std::vector<float> current = Learn(&random, factory);
    const std::vector<uint32_t> delta = Encode(DeltaKind::kValues, factory, current);
    std::vector<float> weights = factory;
    ASSERT_EQ(Apply(delta, kHash, DeltaOwner::kSameModel, &weights), DeltaStatus::kOk);
    EXPECT_TRUE(SameBits(current, weights));
    // Never longer than a run for each changed weight.
    uint32_t changed = 0;
    for (size_t i = 0; i < factory.size(); ++i) changed += factory[i] != current[i] ? 1 : 0;
    EXPECT_LE(delta.size(), kDeltaHeaderWords + 3 * changed);
  }
}

TEST(SparseDeltaTest, DifferencesAddUpAndLeaveTheRestAlone) {
  math::Random random(2);
  for (int round = 0; round < 300; ++round) {
    std::vector<float> factory = random.Floats(random.Int(1, 200));
    factory[0] = -0.0f;
    const std::vector<float> current = Learn(&random, factory);
    const std::vector<uint32_t> delta = Encode(DeltaKind::kDifferences, factory, current);
    std::vector<float> weights = factory;
    ASSERT_EQ(Apply(delta, kHash, DeltaOwner::kSameModel, &weights), DeltaStatus::kOk);
    for (size_t i = 0; i < weights.size(); ++i) {
      if (factory[i] == current[i]) {
        EXPECT_TRUE(SameBits({factory[i]}, {weights[i]}));
      } else {
        // Difference and sum are rounded once each; no number here exceeds 3.
        EXPECT_NEAR(weights[i], current[i], 2 * 3 * 6e-8);
      }
    }
  }
}

TEST(SparseDeltaTest, RefusesWhatDoesNotBelong) {
  math::Random random(3);
  const std::vector<float> factory = random.Floats(100);
  std::vector<float> current = factory;
  for (int i = 20; i < 40; ++i) current[i] += 1.0f;
  const std::vector<uint32_t> values = Encode(DeltaKind::kValues, factory, current);
  const std::vector<uint32_t> differences = Encode(DeltaKind::kDifferences, factory, current);
  std::vector<float> weights = factory;
  EXPECT_EQ(Apply(values, kOtherHash, DeltaOwner::kSameModel, &weights), DeltaStatus::kOtherModel);
  EXPECT_EQ(Apply(differences, kOtherHash, DeltaOwner::kSameModel, &weights),
            DeltaStatus::kOtherModel);
  EXPECT_EQ(Apply(values, kOtherHash, DeltaOwner::kAnyModel, &weights), DeltaStatus::kNotMergeable);
  std::vector<float> longer = random.Floats(101);
  EXPECT_EQ(Apply(differences, kOtherHash, DeltaOwner::kAnyModel, &longer),
            DeltaStatus::kOtherModel);
  EXPECT_TRUE(SameBits(factory, weights));
  // Twice would be once too often.
  EXPECT_EQ(Apply(differences, kHash, DeltaOwner::kSameModel, &weights), DeltaStatus::kOk);
  EXPECT_EQ(Apply(differences, kHash, DeltaOwner::kSameModel, &weights), DeltaStatus::kWrongBase);
}

// Any single damaged word, and any truncation, is noticed before a weight changes.
TEST(SparseDeltaTest, NoticesDamage) {
  math::Random random(4);
  const std::vector<float> factory = random.Floats(100);
  std::vector<float> current = factory;
  for (int i = 20; i < 40; ++i) current[i] += 1.0f;
  current[77] = 2.0f;
  const std::vector<uint32_t> delta = Encode(DeltaKind::kValues, factory, current);
  for (size_t word = 0; word < delta.size(); ++word) {
    std::vector<uint32_t> damaged = delta;
    damaged[word] ^= 1u << random.Int(0, 31);
    std::vector<float> weights = factory;
    EXPECT_NE(Apply(damaged, kHash, DeltaOwner::kAnyModel, &weights), DeltaStatus::kOk) << word;
    EXPECT_TRUE(SameBits(factory, weights));
  }
  for (size_t words = 0; words < delta.size(); ++words) {
    const std::vector<uint32_t> part(delta.begin(), delta.begin() + words);
    std::vector<float> weights = factory;
    EXPECT_EQ(Apply(part, kHash, DeltaOwner::kAnyModel, &weights), DeltaStatus::kDamaged);
  }
}

// Wrong contents under right CRCs: what a faulty or hostile host could send.
TEST(SparseDeltaTest, ChecksRunsOfAnyOrigin) {
  math::Random random(5);
  const std::vector<float> factory = random.Floats(30);
  struct Case {
    std::vector<uint32_t> payload;
    uint32_t runs, floats;
    DeltaStatus expected;
  };
  const uint32_t nan = 0x7fc00000u;
  const Case cases[] = {
      {{29, 1, 0}, 1, 1, DeltaStatus::kOk},
      {{0, 1, 0, 1, 1, 0}, 2, 2, DeltaStatus::kOk},
      {{30, 1, 0}, 1, 1, DeltaStatus::kDamaged},
      {{29, 2, 0, 0}, 1, 2, DeltaStatus::kDamaged},
      {{0xffffffffu, 1, 0}, 1, 1, DeltaStatus::kDamaged},
      {{0, 0xffffffffu, 0}, 1, 1, DeltaStatus::kDamaged},
      {{5, 1, 0, 5, 1, 0}, 2, 2, DeltaStatus::kDamaged},
      {{5, 1, 0, 3, 1, 0}, 2, 2, DeltaStatus::kDamaged},
      {{5, 1, 0, 0}, 1, 1, DeltaStatus::kDamaged},
      {{5, 1, 0}, 2, 1, DeltaStatus::kDamaged},
      {{5, 1, 0}, 1, 2, DeltaStatus::kDamaged},
      {{5, 2, 0}, 1, 2, DeltaStatus::kDamaged},
      {{5, 1, nan}, 1, 1, DeltaStatus::kNotFinite},
  };
  for (const Case& c : cases) {
    DeltaHeader header = {
        kDeltaMagic, kDeltaVersion, 0, {kHash[0], kHash[1]}, 30, 0, c.runs, c.floats, 0, 0, 0};
    header.factory_crc = Crc32(0, factory.data(), 4 * factory.size());
    header.payload_crc = Crc32(0, c.payload.data(), 4 * c.payload.size());
    header.header_crc = Crc32(0, &header, sizeof(header) - 4);
    std::vector<uint32_t> delta(kDeltaHeaderWords);
    memcpy(delta.data(), &header, sizeof(header));
    delta.insert(delta.end(), c.payload.begin(), c.payload.end());
    std::vector<float> weights = factory;
    EXPECT_EQ(Apply(delta, kHash, DeltaOwner::kSameModel, &weights), c.expected);
    if (c.expected != DeltaStatus::kOk) {
      EXPECT_TRUE(SameBits(factory, weights));
    }
  }
}

TEST(SparseDeltaTest, RefusesAnOverflowingSumWhole) {
  const float huge = std::numeric_limits<float>::max();
  const std::vector<float> factory = {0.0f, 1.0f, 0.0f};
  const std::vector<float> current = {1.0f, 1.0f, huge};
  const std::vector<uint32_t> delta = Encode(DeltaKind::kDifferences, factory, current);
  std::vector<float> weights = {0.0f, 1.0f, huge};
  EXPECT_EQ(Apply(delta, kOtherHash, DeltaOwner::kAnyModel, &weights), DeltaStatus::kNotFinite);
  EXPECT_TRUE(SameBits({0.0f, 1.0f, huge}, weights));
}

TEST(SparseDeltaTest, ReadsRunsInAnyOrder) {
  math::Random random(6);
  const std::vector<float> factory = random.Floats(300);
  std::vector<float> current = factory;
  for (int i = 0; i < 300; i += 10) current[i] += 1.0f;
  const std::vector<uint32_t> delta = Encode(DeltaKind::kValues, factory, current);
  const DeltaRuns runs(delta.data());
  ASSERT_EQ(runs.count(), 30u);
  for (int i = 0; i < 200; ++i) {
    const uint32_t r = static_cast<uint32_t>(random.Int(0, 29));
    EXPECT_EQ(runs.run(r).weight_offset, 10 * r);
    EXPECT_EQ(runs.run(r).pool_offset, kDeltaHeaderWords + 3 * r + 2);
    EXPECT_EQ(runs.run(r).length, 1u);
  }
}

StoreStatus CommitDelta(WeightStore* store, const std::vector<uint32_t>& delta) {
  const DeltaRuns runs(delta.data());
  return store->Commit({&runs, reinterpret_cast<const float*>(delta.data()),
                        static_cast<uint32_t>(delta.size()), nullptr, 0, nullptr});
}

// A model update that keeps what was learned: pull, flash, drop, push.
TEST(SparseDeltaTest, CarriesTheLearnedStateOverAnUpdate) {
  World world(Plan(), 7);
  std::copy_n(kHash, 2, world.config.model_hash);
  const std::vector<float> factory = world.weights;
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  const Work work = world.DrawWork(3);
  ASSERT_EQ(world.Commit(&store, work), StoreStatus::kOk);
  const std::vector<uint32_t> delta = Encode(DeltaKind::kDifferences, factory, world.After(work));

  std::copy_n(kOtherHash, 2, world.config.model_hash);
  world.weights = world.random.Floats(static_cast<int>(factory.size()));
  world.flash.Program(world.config.weights_offset, World::Words(world.weights));
  WeightStore next = world.Start();
  ASSERT_EQ(next.Open(ForeignState::kRefuse), StoreStatus::kOtherModel);
  ASSERT_EQ(next.Open(ForeignState::kDropLearned), StoreStatus::kOk);
  std::vector<float> expected = world.weights;
  ASSERT_EQ(Apply(delta, kOtherHash, DeltaOwner::kAnyModel, &expected), DeltaStatus::kOk);
  const std::vector<uint32_t> values = Encode(DeltaKind::kValues, world.weights, expected);
  ASSERT_EQ(CommitDelta(&next, values), StoreStatus::kOk);
  EXPECT_TRUE(world.Holds(expected));
}

// The same onto a board that was reset to the same model, with exact values.
TEST(SparseDeltaTest, RestoresALearnedStateExactly) {
  World world(Plan(), 8);
  const std::vector<float> current = world.After(world.DrawWork(4));
  const std::vector<uint32_t> delta = Encode(DeltaKind::kValues, world.weights, current);
  WeightStore store = world.Start();
  ASSERT_EQ(store.Open(ForeignState::kRefuse), StoreStatus::kOk);
  ASSERT_EQ(CommitDelta(&store, delta), StoreStatus::kOk);
  EXPECT_TRUE(world.Holds(current));
}

}  // namespace
}  // namespace medyate
