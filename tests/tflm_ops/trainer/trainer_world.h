#ifndef TESTS_TFLM_OPS_TRAINER_TRAINER_WORLD_H_
#define TESTS_TFLM_OPS_TRAINER_TRAINER_WORLD_H_

// A small device for the trainer's tests: the golden model with its weights in flash, and a Trainer
// that can be switched off and on.

#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/fake_flash.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tests/tflm_ops/trainer/static_model/medyate_model.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/schema/op_options.h"
#include "tflm_ops/store/crc32.h"
#include "tflm_ops/trainer/trainer.h"

namespace medyate {

inline std::ostream& operator<<(std::ostream& out, TrainerStatus status) {
  return out << TrainerStatusName(status);
}
inline std::ostream& operator<<(std::ostream& out, StoreStatus status) {
  return out << StatusName(status);
}

constexpr int kInputs = 32;
constexpr int kOutputs = 3;
constexpr uint32_t kPageBytes = 4096;
constexpr uint32_t kPageFloats = kPageBytes / 4;
constexpr float kSpareBias = -1e4f;

inline std::vector<float> Sample(uint32_t seed) { return math::Random(seed).Floats(kInputs); }

inline std::vector<uint32_t> Words(const std::vector<float>& floats) {
  std::vector<uint32_t> words(floats.size());
  if (!floats.empty()) memcpy(words.data(), floats.data(), 4 * floats.size());
  return words;
}

// The golden model, its head moved into a second page, so that a torn commit would show.
class TestModel {
 public:
  // Args:
  //   named: of the three classes; the others are spare.
  explicit TestModel(int named = kOutputs) { Build(named); }
  TestModel(const TestModel&) = delete;

  const StaticModel& model() const { return model_; }
  StaticModel* mutable_model() { return &model_; }
  const std::vector<float>& factory() const { return factory_; }
  const TrainedLayer& head() const { return layers_.back(); }

  // Velocities are what a restart forgets.
  void ForgetMomentum() { SetOptimizer(kOptimizerWordMomentum, 0.0f); }
  void SetWeightDecay(float share) { SetOptimizer(kOptimizerWordWeightDecay, share); }

  // Makes it a model of targets, [3], without a softmax.
  void LearnTargets() {
    using medyate_model::kModel;
    nodes_.assign(kModel.nodes, kModel.nodes + kModel.node_count);
    for (StaticNode& node : nodes_) {
      if (node.outputs[0] == 2 && node.outputs[1] == kModel.loss) {
        node.registration = RegisterMeanSquaredError;
      }
    }
    memcpy(&control_, nodes_[0].options, sizeof(control_));
    control_.classes = 0;
    nodes_[0].options = &control_;
    static const int dims[] = {2, 1, kOutputs};
    tensors_[kModel.label].dims = dims;
    tensors_[kModel.label].type = tflm::kFloat32;
    model_.nodes = nodes_.data();
    model_.classes = model_.named_classes = 0;
    model_.scores_of = nullptr;
  }

  // Makes it take samples in 8 bits, of which an op makes the floats that the rest reads.
  void TakeInt8() {
    using medyate_model::kModel;
    nodes_.assign(kModel.nodes, kModel.nodes + kModel.node_count);
    const int floats = kModel.tensor_count;
    tensors_.push_back(tensors_[kModel.sample]);
    tensors_[floats].offset = kModel.planned_bytes + kModel.variable_bytes;
    tensors_[kModel.sample].type = tflm::kInt8;
    inputs_.resize(nodes_.size());
    for (size_t i = 1; i < nodes_.size(); ++i) {
      inputs_[i].assign(nodes_[i].inputs, nodes_[i].inputs + 1 + nodes_[i].inputs[0]);
      std::replace(inputs_[i].begin() + 1, inputs_[i].end(), kModel.sample, floats);
      nodes_[i].inputs = inputs_[i].data();
    }
    model_.sample_type = {0.5f, 0.25f, 0.03f, 5};
    dequantization_ = {kOptionsVersion, 0.06f, 13};
    inputs_[0] = {1, kModel.sample, 1, floats};
    nodes_.insert(nodes_.begin() + 1, {RegisterDequantize, inputs_[0].data(), inputs_[0].data() + 2,
                                       &dequantization_, sizeof(dequantization_)});
    model_.tensors = tensors_.data();
    model_.tensor_count = floats + 1;
    model_.nodes = nodes_.data();
    model_.node_count = static_cast<int>(nodes_.size());
    model_.variable_bytes += sizeof(float) * kInputs;
  }

  // What an update of the firmware might bring.
  void ChangeWeights(float difference, bool changes_hash) {
    for (uint32_t i = 0; i < 72; ++i) factory_[i] += difference;
    model_.hash[0] += changes_hash ? 1 : 0;
    model_.weights_crc = Crc32(0, factory_.data(), 4 * factory_.size());
  }

 private:
  // The only constant of four floats.
  static bool IsOptimizer(const StaticTensor& tensor) {
    return tensor.place == Place::kConstant && tensor.type == tflm::kFloat32 &&
           tensor.dims[0] == 1 && tensor.dims[1] == kOptimizerWords;
  }

  void SetOptimizer(OptimizerWord word, float value) {
    for (StaticTensor& tensor : tensors_) {
      if (!IsOptimizer(tensor)) continue;
      if (tensor.constant != optimizer_) memcpy(optimizer_, tensor.constant, sizeof(optimizer_));
      optimizer_[word] = value;
      tensor.constant = optimizer_;
    }
  }

  void Build(int named) {
    using medyate_model::kModel;
    tensors_.assign(kModel.tensors, kModel.tensors + kModel.tensor_count);
    layers_.assign(kModel.layers, kModel.layers + kModel.layer_count);
    factory_.assign(kModel.weights, kModel.weights + kModel.weights_floats);
    factory_.resize(kModel.weights_floats + kPageFloats);
    const uint32_t begin = layers_.back().weights_offset;
    for (uint32_t i = begin; i < kModel.weights_floats; ++i) {
      factory_[i + kPageFloats - begin] = factory_[i];
      factory_[i] = 0.0f;
    }
    const uint32_t moved = kPageFloats - begin;
    layers_.back().weights_offset += moved;
    layers_.back().bias_weights_offset += moved;
    for (StaticTensor& tensor : tensors_) {
      if (tensor.place == Place::kWeights && tensor.offset >= 4 * begin) tensor.offset += 4 * moved;
    }
    for (int label = named; label < kOutputs; ++label) {
      for (uint32_t i = 0; i < 4; ++i) factory_[layers_.back().weights_offset + 3 * i + label] = 0;
      factory_[layers_.back().bias_weights_offset + label] = kSpareBias;
    }
    model_ = kModel;
    model_.tensors = tensors_.data();
    model_.layers = layers_.data();
    model_.weights = factory_.data();
    model_.weights_floats = static_cast<uint32_t>(factory_.size());
    model_.weights_crc = Crc32(0, factory_.data(), 4 * factory_.size());
    model_.factory = factory_.data();
    model_.named_classes = named;
    model_.class_names = Names();
  }

  static const char* const* Names() {
    static const char* const names[kOutputs] = {"rest", "walk", "jump"};
    return names;
  }

  std::vector<StaticTensor> tensors_;
  std::vector<TrainedLayer> layers_;
  std::vector<float> factory_;
  std::vector<StaticNode> nodes_;
  std::vector<std::vector<int>> inputs_;  // Of nodes that read another sample.
  QuantizationOptions dequantization_ = {};
  ControlOptions control_ = {};
  float optimizer_[kOptimizerWords] = {};
  StaticModel model_ = {};
};

// A fake flash of which the weights region can be read like memory, as a board's can.
class MappedFlash final : public Flash {
 public:
  static constexpr uint32_t kWeightsPage = 1;
  static constexpr uint32_t kJournalPage = 4;
  static constexpr uint32_t kJournalPages = 8;
  static constexpr uint32_t kPages = kJournalPage + kJournalPages + 1;

  explicit MappedFlash(const TestModel& model) : fake(kPageBytes, kPages, 5) { Program(model); }

  // As a programmer does who flashes a board: everything but the journal.
  void Program(const TestModel& model) { Program(model.factory()); }
  void Program(const std::vector<float>& weights) {
    fake.Program(kWeightsPage * kPageBytes, Words(weights));
    mapped_ = weights;
  }

  uint32_t page_bytes() const override { return fake.page_bytes(); }
  bool Erase(uint32_t offset) override {
    const bool done = fake.Erase(offset);
    Map(offset, kPageFloats);
    return done;
  }
  bool Write(uint32_t offset, const uint32_t* words, uint32_t count) override {
    const bool done = fake.Write(offset, words, count);
    Map(offset, count);
    return done;
  }
  bool Read(uint32_t offset, uint32_t* words, uint32_t count) const override {
    return fake.Read(offset, words, count);
  }

  const std::vector<float>& mapped() const { return mapped_; }

  FlashPlace Place() {
    return {this,
            kWeightsPage * kPageBytes,
            kJournalPage * kPageBytes,
            kJournalPages,
            mapped_.data(),
            10000,
            0};
  }

  // Whether the pages around weights and journal were left alone.
  bool NeighboursAreUntouched() const {
    return fake.erases(0) == 0 && fake.erases(kJournalPage - 1) == 0 &&
           fake.erases(kPages - 1) == 0;
  }

  // Of all weights, after the fake flash was changed by hand.
  void Map() { Map(kWeightsPage * kPageBytes, static_cast<uint32_t>(mapped_.size())); }

  FakeFlash fake;

 private:
  void Map(uint32_t offset, uint32_t words) {
    const uint32_t begin = kWeightsPage * kPageBytes;
    if (offset < begin || offset >= begin + 4 * mapped_.size()) return;
    const std::vector<uint32_t> contents = fake.Contents(offset, words);
    memcpy(mapped_.data() + (offset - begin) / 4, contents.data(), 4 * words);
  }

  std::vector<float> mapped_;
};

// All that can be told of a trainer between two samples. Equal ones go on alike.
struct Traits {
  std::vector<float> weights, pool, importance, scores;
  std::vector<int32_t> selection;
  std::vector<uint32_t> progress;
  std::vector<std::string> names;

  bool operator==(const Traits& other) const {
    return math::SameBits(weights, other.weights) && math::SameBits(pool, other.pool) &&
           math::SameBits(importance, other.importance) && math::SameBits(scores, other.scores) &&
           selection == other.selection && progress == other.progress && names == other.names;
  }
  bool operator!=(const Traits& other) const { return !(*this == other); }
};

class TestDevice {
 public:
  // Args:
  //   flash: null for a board that forgets.
  TestDevice(const TestModel& model, MappedFlash* flash)
      : TestDevice(model, flash ? flash->Place() : FlashPlace{}) {}
  TestDevice(const TestModel& model, const FlashPlace& place)
      : memory_(StaticRunner::ArenaBytes(model.model()) + 2 * kArenaAlignment, 0xa5),
        trainer(model.model(), Arena(), memory_.size() - 2 * kArenaAlignment, place) {
    trainer.SetReport(Add, &reports_);
  }

  TrainerStatus Step(uint32_t seed, float* loss = nullptr) {
    return trainer.Step(Sample(seed).data(), Label(seed), loss);
  }
  int Label(uint32_t seed) const { return static_cast<int>(seed) % trainer.classes(); }

  // Steps with these seeds, first, first + 1 ... They must succeed.
  std::vector<float> Steps(uint32_t first, uint32_t count) {
    std::vector<float> losses(count);
    for (uint32_t i = 0; i < count; ++i) {
      EXPECT_EQ(Step(first + i, &losses[i]), TrainerStatus::kOk);
    }
    return losses;
  }

  std::vector<float> Predict(uint32_t seed) {
    std::vector<float> scores(kOutputs);
    EXPECT_EQ(trainer.Predict(Sample(seed).data(), scores.data()), TrainerStatus::kOk);
    return scores;
  }

  std::vector<float> Tensor(int tensor) const {
    const float* data = static_cast<const float*>(trainer.step().runner().Data(tensor));
    return std::vector<float>(data, data + trainer.step().runner().Elements(tensor));
  }

  Traits Describe() {
    Traits traits;
    const StaticModel& model = trainer.model();
    const StepTrainer& step = trainer.step();
    traits.weights.assign(trainer.weights(), trainer.weights() + model.weights_floats);
    traits.pool = Trained();
    traits.importance = Tensor(model.importance);
    for (uint32_t seed = 900; seed < 903; ++seed) {
      for (float score : Predict(seed)) traits.scores.push_back(score);
    }
    const int32_t* selection = static_cast<const int32_t*>(step.runner().Data(model.selection));
    traits.selection.assign(selection, selection + step.runner().Elements(model.selection));
    traits.selection[kStateWordGradientScale] = 0;  // Of the last update.
    traits.progress = {step.samples(), step.updates(), step.epochs(),
                       static_cast<uint32_t>(step.draw())};
    for (int label = 0; label < trainer.classes(); ++label) {
      char name[kClassNameBytes];
      traits.names.push_back(trainer.ClassName(label, name, sizeof(name)) ? name : "");
    }
    return traits;
  }

  // Whatever was reported since the last time.
  std::string TakeReports() {
    std::string reports;
    reports.swap(reports_);
    return reports;
  }

 private:
  // The pool without stashes, which hold whatever the last sample left.
  std::vector<float> Trained() const {
    const StaticModel& model = trainer.model();
    const std::vector<float> pool = Tensor(model.pool);
    const int32_t* selection =
        static_cast<const int32_t*>(trainer.step().runner().Data(model.selection));
    const SelectionRuns runs(model.layers, model.layer_count, selection);
    std::vector<float> trained;
    for (uint32_t i = 0; i < runs.count(); ++i) {
      const WeightRun run = runs.run(i);
      trained.insert(trained.end(), pool.begin() + run.pool_offset,
                     pool.begin() + run.pool_offset + run.length);
    }
    return trained;
  }

  static void Add(void* user, const char* text) {
    *static_cast<std::string*>(user) += std::string(text) + "\n";
  }

  uint8_t* Arena() {
    const uintptr_t address = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (kArenaAlignment - address % kArenaAlignment) % kArenaAlignment;
  }

  std::vector<uint8_t> memory_;
  std::string reports_;

 public:
  Trainer trainer;
};

}  // namespace medyate

#endif  // TESTS_TFLM_OPS_TRAINER_TRAINER_WORLD_H_
