#ifndef TFLM_OPS_STORE_WEIGHT_RUNS_H_
#define TFLM_OPS_STORE_WEIGHT_RUNS_H_

// Which weights a commit sets: runs of floats in a pool, and where they go in the weights.

#include <stdint.h>

namespace medyate {

// `length` floats at pool[pool_offset] belong to the weights from `weight_offset` on, in floats
// from the start of the weights region.
struct WeightRun {
  uint32_t pool_offset;
  uint32_t weight_offset;
  uint32_t length;
};

// A list of runs, in any order. It is read many times during a commit and must not change
// meanwhile.
class RunList {
 public:
  virtual uint32_t count() const { return 0; }

  // Args:
  //   i: below count().
  virtual WeightRun run(uint32_t i) const {
    (void)i;
    return {0, 0, 0};
  }

 protected:
  ~RunList() = default;
};

// 0 for null.
inline uint32_t CountOf(const RunList* runs) { return runs ? runs->count() : 0; }

// The part of a run that lies in words first .. first + words - 1 of the weights.
struct RunPart {
  uint32_t pool_offset;
  uint32_t word;  // From `first` on.
  uint32_t length;
};

inline RunPart PartWithin(const WeightRun& run, uint32_t first, uint32_t words) {
  const uint32_t begin = run.weight_offset > first ? run.weight_offset : first;
  const uint32_t run_end = run.weight_offset + run.length, end = first + words;
  const uint32_t last = run_end < end ? run_end : end;
  if (begin >= last) return {0, 0, 0};
  return {run.pool_offset + (begin - run.weight_offset), begin - first, last - begin};
}

// Runs that lie in an array.
class ArrayRuns final : public RunList {
 public:
  ArrayRuns(const WeightRun* runs, uint32_t count) : runs_(runs), count_(count) {}
  uint32_t count() const override { return count_; }
  WeightRun run(uint32_t i) const override { return runs_[i]; }

 private:
  const WeightRun* runs_;
  uint32_t count_;
};

// A trained layer, as selection, pool and weights region know it.
struct TrainedLayer {
  uint32_t selection_offset;     // First word of its slot in the selection.
  uint32_t channel_weights;      // Weights of an input channel, which lie together.
  uint32_t weights_offset;       // Of channel 0 in the weights region, in floats.
  uint32_t biases;               // Trained biases; 0 if they stay as they are.
  uint32_t bias_pool_offset;     // Of the biases in the pool, in floats.
  uint32_t bias_weights_offset;  // Of the biases in the weights region, in floats.
};

// The runs of the channels that are drawn now, and of the trained biases. The slot of a layer is
// {drawn channels, where their weights begin in the pool, the channels two to a word}, as
// tf_medyate/exporter/ops/schema.py has it; its writer answers for the contents, the
// weight store checks what comes out of it.
class SelectionRuns final : public RunList {
 public:
  SelectionRuns(const TrainedLayer* layers, uint32_t layer_count, const int32_t* selection)
      : layers_(layers), layer_count_(layer_count), selection_(selection) {}
  uint32_t count() const override;
  WeightRun run(uint32_t i) const override;

 private:
  uint32_t RunsOf(const TrainedLayer& layer) const;

  const TrainedLayer* layers_;
  uint32_t layer_count_;
  const int32_t* selection_;
};

}  // namespace medyate

#endif  // TFLM_OPS_STORE_WEIGHT_RUNS_H_
