// The trainer on a small generated model: statuses, batches, commits, discards. That its bits are
// TFLM's is shown by tests/exporter/test_cpp.py.

#include "tflm_ops/trainer/step_trainer.h"

#include <string.h>

#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/fake_flash.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tests/tflm_ops/trainer/static_model/medyate_model.h"
#include "tflm_ops/schema/op_options.h"
#include "tflm_ops/store/weight_store.h"

namespace medyate {

std::ostream& operator<<(std::ostream& out, TrainerStatus status) {
  return out << TrainerStatusName(status);
}

namespace {

using math::SameBits;
using medyate_model::kModel;
using Status = TrainerStatus;

constexpr int kInputs = 32;
constexpr int kClasses = 3;
const float kNan = std::numeric_limits<float>::quiet_NaN();
const float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Sample(uint32_t seed) { return math::Random(seed).Floats(kInputs); }

// An arena full of rubbish, past which nobody may write.
class Arena {
 public:
  explicit Arena(size_t bytes = medyate_model::kArenaBytes)
      : bytes_(bytes), memory_(bytes + 2 * kArenaAlignment, 0xa5) {}

  uint8_t* data() {
    const uintptr_t address = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (kArenaAlignment - address % kArenaAlignment) % kArenaAlignment;
  }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_;
  std::vector<uint8_t> memory_;
};

class Device {
 public:
  explicit Device(const StaticModel& model = kModel)
      : weights_(model.weights_floats), sink_(model, weights_.data(), model.weights_floats) {
    trainer.SetReport(Add, &reports_);
  }

  Status Init(const StaticModel& model = kModel) { return Init(model, &sink_); }
  Status Init(const StaticModel& model, CommitSink* sink) {
    return trainer.Init(model, arena.data(), arena.bytes(), sink);
  }

  Status Step(uint32_t seed, float* loss = nullptr) {
    return trainer.Step(Sample(seed).data(), static_cast<int>(seed % kClasses), loss);
  }

  std::vector<float> Predict(uint32_t seed) {
    std::vector<float> scores(kClasses);
    EXPECT_EQ(trainer.Predict(Sample(seed).data(), scores.data()), Status::kOk);
    return scores;
  }

  std::vector<float> Tensor(int tensor) const {
    const float* data = static_cast<const float*>(trainer.runner().Data(tensor));
    return std::vector<float>(data, data + trainer.runner().Elements(tensor));
  }

  std::vector<int32_t> Selection() const {
    const int32_t* data = static_cast<const int32_t*>(trainer.runner().Data(kModel.selection));
    return std::vector<int32_t>(data, data + trainer.runner().Elements(kModel.selection));
  }

  // Whatever was reported since the last time.
  std::string TakeReports() {
    std::string reports;
    reports.swap(reports_);
    return reports;
  }

  const std::vector<float>& weights() const { return weights_; }
  std::vector<float>* mutable_weights() { return &weights_; }

  Arena arena;
  StepTrainer trainer;

 private:
  static void Add(void* user, const char* text) {
    *static_cast<std::string*>(user) += std::string(text) + "\n";
  }

  std::vector<float> weights_;
  RamSink sink_;
  std::string reports_;
};

TEST(StepTrainer, EveryStatusHasANameOfItsOwn) {
  std::set<std::string> names;
  const int last = static_cast<int>(Status::kNoHeldSamples);
  for (int i = 0; i <= last; ++i) names.insert(TrainerStatusName(static_cast<Status>(i)));
  EXPECT_EQ(names.size(), static_cast<size_t>(last + 1));
  EXPECT_EQ(names.count("unknown"), 0u);
  for (int i = 0; i <= static_cast<int>(RunnerStatus::kInvokeFailed); ++i) {
    EXPECT_STRNE(RunnerStatusName(static_cast<RunnerStatus>(i)), "unknown") << i;
  }
}

TEST(StepTrainer, NothingWorksBeforeInit) {
  Device device;
  float loss;
  EXPECT_EQ(device.Step(0, &loss), Status::kNotInitialized);
  EXPECT_EQ(device.trainer.Step(Sample(0).data(), Sample(1).data(), &loss),
            Status::kNotInitialized);
  EXPECT_EQ(device.trainer.Predict(Sample(0).data(), &loss), Status::kNotInitialized);
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kNotInitialized);
  EXPECT_EQ(device.trainer.Commit(), Status::kNotInitialized);
  EXPECT_EQ(device.trainer.Discard(), Status::kNotInitialized);
  EXPECT_EQ(device.trainer.Flush(), Status::kNotInitialized);
  EXPECT_EQ(device.trainer.DropEpoch(), Status::kNotInitialized);
  EXPECT_EQ(device.trainer.Loss(Sample(0).data(), 0, &loss), Status::kNotInitialized);
  EXPECT_EQ(device.trainer.importance(), nullptr);
  EXPECT_EQ(device.trainer.importance_floats(), 0u);
  EXPECT_EQ(device.trainer.sample(), nullptr);
  EXPECT_EQ(device.trainer.draw(), -1);
}

TEST(StepTrainer, AnArenaMustBeThereAlignedAndLargeEnough) {
  Device device;
  const size_t needed = StaticRunner::ArenaBytes(kModel);
  EXPECT_EQ(needed, medyate_model::kArenaBytes) << "what the generated header says";
  StepTrainer& trainer = device.trainer;
  EXPECT_EQ(trainer.Init(kModel, nullptr, needed, nullptr), Status::kNoArena);
  EXPECT_EQ(trainer.Init(kModel, device.arena.data() + 4, needed, nullptr),
            Status::kArenaNotAligned);
  device.TakeReports();
  EXPECT_EQ(trainer.Init(kModel, device.arena.data(), needed - 1, nullptr), Status::kArenaTooSmall);
  EXPECT_EQ(device.TakeReports(), "arena: expected at least " + std::to_string(needed) +
                                      " bytes, received " + std::to_string(needed - 1) + "\n");
  EXPECT_EQ(device.Step(0), Status::kNotInitialized);
  EXPECT_EQ(trainer.Init(kModel, device.arena.data(), needed, nullptr), Status::kOk);
  EXPECT_EQ(device.arena.data()[needed], 0xa5) << "one byte past the end";
}

TEST(StepTrainer, AModelThatContradictsItselfIsRefused) {
  Device device;
  std::vector<StaticTensor> tensors(kModel.tensors, kModel.tensors + kModel.tensor_count);
  std::vector<StaticNode> nodes(kModel.nodes, kModel.nodes + kModel.node_count);
  StaticModel model = kModel;
  model.tensors = tensors.data();
  model.nodes = nodes.data();
  ASSERT_EQ(device.Init(model), Status::kOk);

  const int far[] = {1, kModel.tensor_count};
  nodes[3].inputs = far;
  EXPECT_EQ(device.Init(model), Status::kBadModel);
  EXPECT_EQ(device.Step(0), Status::kNotInitialized);
  nodes[3] = kModel.nodes[3];

  tensors[kModel.pool].offset = kModel.planned_bytes + kModel.variable_bytes - 4;
  EXPECT_EQ(device.Init(model), Status::kBadModel);
  tensors[kModel.pool] = kModel.tensors[kModel.pool];

  device.TakeReports();
  nodes[0].options_bytes = 4;
  EXPECT_EQ(device.Init(model), Status::kBadModel);
  EXPECT_EQ(device.TakeReports(), "MEDYATE_CONTROL: bytes of options: expected 56, received 4\n");
  nodes[0] = kModel.nodes[0];
  EXPECT_EQ(device.Init(model), Status::kOk);
}

TEST(StepTrainer, WrongSamplesAndLabelsAreNamedAndChangeNothing) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  ASSERT_EQ(device.Step(1), Status::kOk);
  const std::vector<float> pool = device.Tensor(kModel.pool);
  const std::vector<float> scores = device.Predict(5);
  const std::vector<float> sample = Sample(0);
  StepTrainer& trainer = device.trainer;
  float loss = -1.0f;

  EXPECT_EQ(trainer.Step(sample.data(), kClasses, &loss), Status::kLabelOutOfRange);
  EXPECT_EQ(device.TakeReports(), "label: expected 0 to 2, received 3\n");
  EXPECT_EQ(trainer.Step(sample.data(), -1, &loss), Status::kLabelOutOfRange);
  EXPECT_EQ(trainer.Step(nullptr, 0, &loss), Status::kNullArgument);
  EXPECT_EQ(trainer.Predict(sample.data(), nullptr), Status::kNullArgument);
  EXPECT_EQ(trainer.Step(sample.data(), sample.data(), &loss), Status::kLabelOfOtherKind);
  for (float bad : {kNan, kInfinity, -kInfinity}) {
    std::vector<float> broken = sample;
    broken.back() = bad;
    EXPECT_EQ(trainer.Step(broken.data(), 0, &loss), Status::kSampleNotFinite);
    EXPECT_EQ(trainer.Predict(broken.data(), &loss), Status::kSampleNotFinite);
  }

  EXPECT_EQ(loss, -1.0f);
  EXPECT_EQ(trainer.samples(), 1u);
  EXPECT_TRUE(trainer.is_sound());
  EXPECT_TRUE(SameBits(pool, device.Tensor(kModel.pool)));
  EXPECT_TRUE(SameBits(scores, device.Predict(5)));
}

TEST(StepTrainer, AModelOfTargetsTakesNoClass) {
  StaticModel model = kModel;
  model.classes = 0;
  Device device;
  ASSERT_EQ(device.Init(model), Status::kOk);
  EXPECT_EQ(device.Step(0), Status::kLabelOfOtherKind);
  const float target[] = {kNan};
  EXPECT_EQ(device.trainer.Step(Sample(0).data(), target, nullptr), Status::kTargetNotFinite);
  model.targets_are_shares = true;
  for (float share : {-0.5f, 1.5f}) {
    EXPECT_EQ(device.trainer.Step(Sample(0).data(), &share, nullptr), Status::kTargetOutOfRange);
  }
  const float* none = nullptr;
  EXPECT_EQ(device.trainer.Step(Sample(0).data(), none, nullptr), Status::kNullArgument);
}

TEST(StepTrainer, ItLearnsInBatchesAndAppliesAShortOneAtTheEndOfTheEpoch) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  ASSERT_EQ(kModel.batch_size, 2u);
  const std::vector<float> before = device.Predict(0);
  ASSERT_EQ(device.Step(0), Status::kOk);
  EXPECT_EQ(device.trainer.updates(), 0u);
  EXPECT_TRUE(SameBits(before, device.Predict(0))) << "accumulated only";
  ASSERT_EQ(device.Step(1), Status::kOk);
  EXPECT_EQ(device.trainer.updates(), 1u);
  EXPECT_FALSE(SameBits(before, device.Predict(0)));
  ASSERT_EQ(device.Step(2), Status::kOk);
  ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
  EXPECT_EQ(device.trainer.updates(), 2u);
  EXPECT_EQ(device.trainer.samples(), 3u);
  EXPECT_EQ(device.trainer.epochs(), 1u);

  float first = 0.0f, last = 0.0f;
  for (uint32_t epoch = 0; epoch < 60; ++epoch) {
    float sum = 0.0f;
    for (uint32_t seed = 0; seed < 4; ++seed) {
      float loss;
      ASSERT_EQ(device.Step(seed, &loss), Status::kOk);
      sum += loss;
    }
    ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
    if (epoch == 0) first = sum;
    last = sum;
  }
  EXPECT_LT(last, 0.9f * first);
}

TEST(StepTrainer, AnEpochEndsWithACommitAndANewDraw) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  const std::vector<float> shipped = device.weights();
  EXPECT_EQ(device.trainer.draw(), 0);
  std::set<std::vector<int32_t>> draws;
  for (int epoch = 1; epoch <= 6; ++epoch) {
    draws.insert(device.Selection());
    for (uint32_t seed = 0; seed < 4; ++seed) ASSERT_EQ(device.Step(seed), Status::kOk);
    const std::vector<float> before = device.Predict(9);
    ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
    EXPECT_EQ(device.trainer.draw(), epoch);
    const std::vector<float> after = device.Predict(9);
    EXPECT_TRUE(SameBits(before, after)) << "a commit sets what is there already";
  }
  EXPECT_GT(draws.size(), 1u);
  EXPECT_FALSE(SameBits(shipped, device.weights()));
  // What the model ships with is not touched, and neither is the filling of the last page.
  EXPECT_TRUE(SameBits(shipped,
                       std::vector<float>(kModel.weights, kModel.weights + kModel.weights_floats)));
  EXPECT_EQ(device.weights().back(), 0.0f);
}

TEST(StepTrainer, DiscardLoadsTheWeightsThatTheSinkHasNow) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  const std::vector<float> before = device.Predict(0);
  const uint32_t head = kModel.layers[kModel.layer_count - 1].weights_offset;
  (*device.mutable_weights())[head] += 1.0f;
  EXPECT_TRUE(SameBits(before, device.Predict(0))) << "the pool has the head's";
  ASSERT_EQ(device.trainer.Discard(), Status::kOk);
  EXPECT_FALSE(SameBits(before, device.Predict(0)));
}

TEST(StepTrainer, DiscardPutsEverythingBackBitForBit) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  const std::vector<float> scores = device.Predict(7);
  std::vector<float> losses(2 * 5);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 5; ++i) {
      ASSERT_EQ(device.Step(static_cast<uint32_t>(i), &losses[round * 5 + i]), Status::kOk);
    }
    EXPECT_FALSE(SameBits(scores, device.Predict(7)));
    ASSERT_EQ(device.trainer.Discard(), Status::kOk);
    EXPECT_TRUE(SameBits(scores, device.Predict(7)));
    device.trainer.SetSchedule(ConstantRate(0.25f));  // It counts samples, and those go on.
  }
  const std::vector<float> first(losses.begin(), losses.begin() + 2);
  EXPECT_TRUE(SameBits(first, std::vector<float>(losses.begin() + 5, losses.begin() + 7)));
}

TEST(StepTrainer, AnEpochWithALossThatIsNotFiniteIsDropped) {
  for (bool guard : {true, false}) {
    Device device;
    ASSERT_EQ(device.Init(), Status::kOk);
    device.trainer.SetGuard(guard);
    const std::vector<float> weights = device.weights();
    ASSERT_EQ(device.Step(0), Status::kOk);
    ASSERT_EQ(device.Step(1), Status::kOk);
    std::vector<float> huge(kInputs, 3e38f);
    float loss = 0.0f;
    EXPECT_EQ(device.trainer.Step(huge.data(), 0, &loss), Status::kLossNotFinite);
    EXPECT_FALSE(std::isfinite(loss));
    EXPECT_FALSE(device.trainer.is_sound());
    EXPECT_EQ(device.trainer.samples(), 2u);
    EXPECT_EQ(device.trainer.EndEpoch(), guard ? Status::kEpochDiscarded : Status::kOk);
    EXPECT_EQ(SameBits(weights, device.weights()), guard);
    EXPECT_TRUE(device.trainer.is_sound());
    EXPECT_EQ(device.trainer.epochs(), 1u);
    EXPECT_EQ(device.trainer.draw(), 1);
    ASSERT_EQ(device.Step(0), Status::kOk);
    EXPECT_EQ(device.trainer.EndEpoch(), Status::kOk);
    EXPECT_FALSE(SameBits(weights, device.weights()));
  }
}

TEST(StepTrainer, GradientsThatCannotBeClippedAreDropped) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  const std::vector<float> weights = device.weights();
  const std::vector<float> large(kInputs, 1e25f);  // A finite loss, but no finite norm.
  std::vector<Status> statuses;
  for (int label = 0; label < kClasses; ++label) {
    statuses.push_back(device.trainer.Step(large.data(), label, nullptr));
  }
  EXPECT_EQ(std::set<Status>(statuses.begin(), statuses.end()).count(Status::kGradientsNotFinite),
            1u);
  EXPECT_EQ(device.trainer.updates(), 0u);
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kEpochDiscarded);
  EXPECT_TRUE(SameBits(weights, device.weights()));
}

// A sink that does what it is told to.
class StubSink final : public CommitSink {
 public:
  CommitResult Commit(const CommitRequest& request) override {
    runs_ = request.runs->count();
    progress = request.progress;
    importance.assign(request.importance, request.importance + request.importance_floats);
    return result;
  }
  uint32_t runs() const { return runs_; }
  CommitResult result = CommitResult::kOk;
  Progress progress = {};
  std::vector<float> importance;

 private:
  uint32_t runs_ = 0;
};

TEST(StepTrainer, WithoutASinkWhatWasLearnedStaysInThePool) {
  Device device;
  ASSERT_EQ(device.Init(kModel, nullptr), Status::kOk);
  ASSERT_EQ(device.Step(0), Status::kOk);
  ASSERT_EQ(device.Step(1), Status::kOk);
  const std::vector<float> scores = device.Predict(3);
  EXPECT_EQ(device.trainer.Commit(), Status::kNothingToCommitTo);
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kNothingToCommitTo);
  EXPECT_TRUE(SameBits(scores, device.Predict(3)));
  EXPECT_EQ(device.trainer.epochs(), 0u);
}

TEST(StepTrainer, ACommitThatFailsMayBeTriedAgain) {
  Device device;
  StubSink sink;
  ASSERT_EQ(device.Init(kModel, &sink), Status::kOk);
  for (uint32_t seed = 0; seed < 3; ++seed) ASSERT_EQ(device.Step(seed), Status::kOk);
  const std::vector<float> before = device.Predict(3);
  sink.result = CommitResult::kFailed;
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kCommitFailed);
  EXPECT_EQ(device.trainer.updates(), 2u) << "the short batch was applied";
  EXPECT_EQ(device.trainer.epochs(), 0u);
  EXPECT_EQ(device.trainer.draw(), 0);
  const std::vector<float> kept = device.Predict(3);
  EXPECT_FALSE(SameBits(before, kept));
  EXPECT_GT(sink.runs(), 0u);
  sink.result = CommitResult::kOk;
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kOk);
  EXPECT_EQ(device.trainer.epochs(), 1u);
  // The stub dropped them, so they are gone from the pool: each was handed over once.
  EXPECT_FALSE(SameBits(kept, device.Predict(3)));
}

TEST(StepTrainer, ResumeGoesOnBehindACommit) {
  Device device, restarted;
  StubSink sink;  // The base weights stay as they are: a forward pass tells nothing of commits.
  ASSERT_EQ(device.Init(kModel, &sink), Status::kOk);
  for (uint32_t epoch = 0; epoch < 3; ++epoch) {
    for (uint32_t seed = 0; seed < 3; ++seed) ASSERT_EQ(device.Step(seed), Status::kOk);
    ASSERT_EQ(device.trainer.EndEpoch(), Status::kOk);
    ASSERT_EQ(restarted.Init(kModel, &sink), Status::kOk);
    ASSERT_EQ(restarted.trainer.Resume(sink.progress, sink.importance.data(),
                                       static_cast<uint32_t>(sink.importance.size())),
              Status::kOk);
    EXPECT_EQ(restarted.trainer.samples(), device.trainer.samples());
    EXPECT_EQ(restarted.trainer.updates(), device.trainer.updates());
    EXPECT_EQ(restarted.trainer.epochs(), device.trainer.epochs());
    EXPECT_EQ(restarted.trainer.draw(), static_cast<int>(epoch) + 1);
    // All but the state word of the last update's gradient scale.
    std::vector<int32_t> wanted = device.Selection(), got = restarted.Selection();
    wanted[kStateWordGradientScale] = got[kStateWordGradientScale] = 0;
    EXPECT_EQ(got, wanted) << "the same channels";
    EXPECT_TRUE(SameBits(device.Tensor(kModel.importance), restarted.Tensor(kModel.importance)));
  }
}

TEST(StepTrainer, ResumeRefusesWhatItCannotGoOnFrom) {
  Device device;
  std::vector<float> importance(6, 1.0f);
  EXPECT_EQ(device.trainer.Resume({}, importance.data(), 6), Status::kNotInitialized);
  ASSERT_EQ(device.Init(), Status::kOk);
  const std::vector<int32_t> selection = device.Selection();
  EXPECT_EQ(device.trainer.Resume({0, 0, 0, -1}, importance.data(), 6), Status::kBadProgress);
  EXPECT_EQ(device.trainer.Resume({}, importance.data(), 5), Status::kBadProgress);
  EXPECT_EQ(device.trainer.Resume({}, nullptr, 0), Status::kBadProgress);
  EXPECT_EQ(device.trainer.Resume({}, nullptr, 6), Status::kNullArgument);
  for (float bad : {kNan, kInfinity, -0.5f}) {
    importance[3] = bad;
    EXPECT_EQ(device.trainer.Resume({8, 4, 2, 2}, importance.data(), 6), Status::kBadProgress);
  }
  EXPECT_EQ(device.Selection(), selection);
  EXPECT_EQ(device.trainer.samples(), 0u);
}

TEST(StepTrainer, AnEpochThatWouldBreakAWeightIsDropped) {
  Device device;
  StubSink sink;
  ASSERT_EQ(device.Init(kModel, &sink), Status::kOk);
  ASSERT_EQ(device.Step(0), Status::kOk);
  sink.result = CommitResult::kNotFinite;
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kEpochDiscarded);
  EXPECT_EQ(device.trainer.epochs(), 1u);
  device.trainer.SetGuard(false);
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kCommitFailed);
}

TEST(StepTrainer, DamagedSlotsAreNotFollowed) {
  Device device;
  StubSink sink;
  ASSERT_EQ(device.Init(kModel, &sink), Status::kOk);
  int32_t* selection = static_cast<int32_t*>(device.trainer.runner().Data(kModel.selection));
  selection[kModel.layers[0].selection_offset] = -5;
  EXPECT_EQ(device.trainer.Commit(), Status::kOpFailed);
  EXPECT_EQ(sink.runs(), 0u);
  EXPECT_EQ(device.TakeReports(), "MEDYATE_CONTROL: expected slots that lie within the pool\n");
}

TEST(StepTrainer, TheLossOfASampleIsThatOfItsStepAndTeachesNothing) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  for (uint32_t seed = 0; seed < 12; ++seed) {
    const int label = static_cast<int>(seed % kClasses);
    float loss, wanted;
    // Other samples in between change nothing either.
    ASSERT_EQ(device.trainer.Loss(Sample(seed + 50).data(), label, &loss), Status::kOk);
    const std::vector<float> pool = device.Tensor(kModel.pool);
    const std::vector<int32_t> selection = device.Selection();
    ASSERT_EQ(device.trainer.Loss(Sample(seed).data(), label, &loss), Status::kOk);
    EXPECT_TRUE(SameBits(pool, device.Tensor(kModel.pool)));
    EXPECT_EQ(selection, device.Selection());
    EXPECT_EQ(device.trainer.samples(), seed);
    ASSERT_EQ(device.Step(seed, &wanted), Status::kOk);
    EXPECT_EQ(loss, wanted);
  }
  float loss = -1.0f;
  EXPECT_EQ(device.trainer.Loss(Sample(0).data(), kClasses, &loss), Status::kLabelOutOfRange);
  EXPECT_EQ(device.trainer.Loss(nullptr, 0, &loss), Status::kNullArgument);
  EXPECT_EQ(device.trainer.Loss(Sample(0).data(), 0, nullptr), Status::kNullArgument);
  EXPECT_EQ(device.trainer.Loss(Sample(0).data(), Sample(0).data(), &loss),
            Status::kLabelOfOtherKind);
  EXPECT_EQ(loss, -1.0f);
  const std::vector<float> huge(kInputs, 3e38f);
  EXPECT_EQ(device.trainer.Loss(huge.data(), 0, &loss), Status::kLossNotFinite);
  EXPECT_FALSE(std::isfinite(loss));
  EXPECT_TRUE(device.trainer.is_sound()) << "nothing was learned from it";
}

TEST(StepTrainer, FlushAppliesAShortBatchAndNoMore) {
  Device device, other;
  ASSERT_EQ(device.Init(), Status::kOk);
  ASSERT_EQ(other.Init(), Status::kOk);
  for (uint32_t seed = 0; seed < 3; ++seed) {
    ASSERT_EQ(device.Step(seed), Status::kOk);
    ASSERT_EQ(other.Step(seed), Status::kOk);
  }
  EXPECT_EQ(device.trainer.Flush(), Status::kOk);
  EXPECT_EQ(device.trainer.updates(), 2u);
  const std::vector<float> pool = device.Tensor(kModel.pool);
  EXPECT_EQ(device.trainer.Flush(), Status::kOk);
  EXPECT_EQ(device.trainer.updates(), 2u);
  EXPECT_TRUE(SameBits(pool, device.Tensor(kModel.pool)));
  EXPECT_EQ(device.trainer.EndEpoch(), Status::kOk);
  EXPECT_EQ(other.trainer.EndEpoch(), Status::kOk);
  EXPECT_TRUE(SameBits(device.weights(), other.weights()));
}

TEST(StepTrainer, ADroppedEpochIsOverButLeavesTheWeights) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  const std::vector<float> weights = device.weights(), scores = device.Predict(7);
  const std::vector<int32_t> selection = device.Selection();
  for (uint32_t seed = 0; seed < 5; ++seed) ASSERT_EQ(device.Step(seed), Status::kOk);
  EXPECT_EQ(device.trainer.DropEpoch(), Status::kEpochDiscarded);
  EXPECT_TRUE(SameBits(weights, device.weights()));
  EXPECT_TRUE(SameBits(scores, device.Predict(7)));
  EXPECT_EQ(device.trainer.epochs(), 1u);
  EXPECT_EQ(device.trainer.draw(), 1);
  EXPECT_EQ(device.trainer.samples(), 5u);
  EXPECT_NE(selection, device.Selection());
  ASSERT_EQ(device.Step(0), Status::kOk);
  EXPECT_EQ(device.trainer.updates(), 2u) << "the short batch is gone";
}

TEST(StepTrainer, OneBiasMayBeLoadedAgain) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  for (uint32_t seed = 0; seed < 4; ++seed) ASSERT_EQ(device.Step(seed), Status::kOk);
  std::vector<float> pool = device.Tensor(kModel.pool);
  const TrainedLayer& head = kModel.layers[kModel.layer_count - 1];
  (*device.mutable_weights())[head.bias_weights_offset + 1] = 2.5f;
  pool[head.bias_pool_offset + 1] = 2.5f;
  device.trainer.ReloadBias(1);
  device.trainer.ReloadBias(kClasses);  // There is none.
  EXPECT_TRUE(SameBits(pool, device.Tensor(kModel.pool)));
}

TEST(StepTrainer, ASampleMayBePutWhereTheArenaHasIt) {
  Device one, other;
  ASSERT_EQ(one.Init(), Status::kOk);
  ASSERT_EQ(other.Init(), Status::kOk);
  for (uint32_t seed = 0; seed < 4; ++seed) {
    const std::vector<float> sample = Sample(seed);
    memcpy(other.trainer.sample(), sample.data(), sizeof(float) * kInputs);
    float wanted, loss;
    ASSERT_EQ(one.Step(seed, &wanted), Status::kOk);
    const int label = static_cast<int>(seed % kClasses);
    ASSERT_EQ(other.trainer.Step(other.trainer.sample(), label, &loss), Status::kOk);
    EXPECT_EQ(loss, wanted);
  }
}

TEST(StepTrainer, InitStartsAnew) {
  Device device;
  std::vector<float> losses[2];
  for (std::vector<float>& round : losses) {
    ASSERT_EQ(device.Init(), Status::kOk);
    for (uint32_t seed = 0; seed < 5; ++seed) {
      round.push_back(0.0f);
      ASSERT_EQ(device.Step(seed, &round.back()), Status::kOk);
    }
    EXPECT_EQ(device.trainer.samples(), 5u);
  }
  EXPECT_TRUE(SameBits(losses[0], losses[1]));
}

TEST(StepTrainer, ALearningRateBelowZeroIsRefused) {
  Device device;
  ASSERT_EQ(device.Init(), Status::kOk);
  device.trainer.SetSchedule(ConstantRate(-0.1f));
  EXPECT_EQ(device.Step(0), Status::kOk) << "accumulated only";
  EXPECT_EQ(device.Step(1), Status::kOpFailed);
  EXPECT_EQ(device.TakeReports(),
            "MEDYATE_CONTROL: expected a finite learning rate of at least 0\n");
}

TEST(RamSink, TakesAllRunsOrNone) {
  std::vector<float> weights(kModel.weights_floats);
  RamSink sink(kModel, weights.data(), kModel.weights_floats);
  const std::vector<float> before = weights;
  const std::vector<float> pool = {1.0f, 2.0f, 3e38f, kNan};
  const auto commit = [&](const WeightRun& second) {
    const WeightRun runs[] = {{0, 5, 2}, second};
    const ArrayRuns list(runs, 2);
    return sink.Commit({&list, pool.data(), 4, {}, nullptr, 0});
  };
  EXPECT_EQ(commit({3, 9, 1}), CommitResult::kNotFinite);
  EXPECT_EQ(commit({3, 9, 2}), CommitResult::kFailed) << "leaves the pool";
  EXPECT_EQ(commit({0, kModel.weights_floats - 1, 2}), CommitResult::kFailed);
  EXPECT_EQ(commit({0xffffffffu, 0, 2}), CommitResult::kFailed);
  EXPECT_TRUE(SameBits(before, weights));
  EXPECT_EQ(commit({2, 9, 1}), CommitResult::kOk);
  EXPECT_EQ(weights[5], 1.0f);
  EXPECT_EQ(weights[6], 2.0f);
  EXPECT_EQ(weights[9], 3e38f);

  RamSink small(kModel, weights.data(), 10);
  EXPECT_EQ(small.weights(), nullptr);
  const ArrayRuns none(nullptr, 0);
  EXPECT_EQ(small.Commit({&none, pool.data(), 4, {}, nullptr, 0}), CommitResult::kFailed);
}

TEST(StaticRunner, CutsLongReportsAndKnowsTheirFormats) {
  std::string text;
  StaticRunner runner;
  runner.Report("nobody listens");
  runner.SetReport([](void* user, const char* t) { *static_cast<std::string*>(user) = t; }, &text);
  runner.Report("%d %u %s %%d", -2147483647 - 1, 4294967295u, "x");
  EXPECT_EQ(text, "-2147483648 4294967295 x ...") << "TFLM has no %%";
  const std::string lengthy(2 * kReportBytes, 'y');
  runner.Report("%s", lengthy.c_str());
  EXPECT_EQ(text, lengthy.substr(0, kReportBytes - 1));
}

// The weight store behind the trainer. The flash of a board can be read like memory; that of the
// test is copied after each commit.
class StoreSink final : public CommitSink {
 public:
  StoreSink() : flash_(kPageBytes, 8, 3), page_(kPageBytes / 4), mapped_(kModel.weights_floats) {
    std::vector<uint32_t> words(kModel.weights_floats);
    memcpy(words.data(), kModel.weights, 4 * words.size());
    flash_.Program(0, words);
    const StoreConfig config = {{kModel.hash[0], kModel.hash[1]},
                                0,
                                kModel.weights_floats * 4 / kPageBytes,
                                kPageBytes,
                                7,
                                0,
                                true,
                                kModel.weights_crc,
                                nullptr,
                                0};
    store_.reset(new WeightStore(&flash_, config, page_.data()));
    opened = store_->Open(ForeignState::kRefuse);
    Map();
  }

  CommitResult Commit(const CommitRequest& request) override {
    const StoreStatus status =
        store_->Commit({request.runs, request.pool, request.pool_floats, nullptr, 0, nullptr});
    Map();
    if (status == StoreStatus::kNotFinite) return CommitResult::kNotFinite;
    return status == StoreStatus::kOk ? CommitResult::kOk : CommitResult::kFailed;
  }

  const float* weights() const override { return mapped_.data(); }
  const std::vector<float>& mapped() const { return mapped_; }

  StoreStatus opened;

 private:
  static constexpr uint32_t kPageBytes = 4096;

  void Map() {
    const std::vector<uint32_t> words = flash_.Contents(0, kModel.weights_floats);
    memcpy(mapped_.data(), words.data(), 4 * words.size());
  }

  FakeFlash flash_;
  std::vector<uint32_t> page_;
  std::vector<float> mapped_;
  std::unique_ptr<WeightStore> store_;
};

TEST(StepTrainer, TheWeightStoreInFlashTakesTheSameBitsAsRam) {
  Device in_ram, in_flash;
  StoreSink sink;
  ASSERT_EQ(sink.opened, StoreStatus::kOk) << "the generated CRC-32 is that of the region";
  ASSERT_EQ(in_ram.Init(), Status::kOk);
  ASSERT_EQ(in_flash.Init(kModel, &sink), Status::kOk);
  for (int epoch = 0; epoch < 5; ++epoch) {
    for (uint32_t seed = 0; seed < 5; ++seed) {
      float wanted, loss;
      ASSERT_EQ(in_ram.Step(seed, &wanted), Status::kOk);
      ASSERT_EQ(in_flash.Step(seed, &loss), Status::kOk);
      ASSERT_EQ(loss, wanted);
    }
    ASSERT_EQ(in_ram.trainer.EndEpoch(), Status::kOk);
    ASSERT_EQ(in_flash.trainer.EndEpoch(), Status::kOk);
    EXPECT_TRUE(SameBits(in_ram.weights(), sink.mapped()));
  }
}

}  // namespace
}  // namespace medyate
