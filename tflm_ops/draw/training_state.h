#ifndef TFLM_OPS_DRAW_TRAINING_STATE_H_
#define TFLM_OPS_DRAW_TRAINING_STATE_H_

// What training remembers between two samples, and what is done to it between two draws. Where
// everything lies in pool, selection and importance is said in tf_medyate/exporter/ops/schema.py.

#include <stdint.h>

#include "tflm_ops/draw/sampler.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {

struct TrainingState {
  const int32_t* layout;  // [rows][kLayoutWords].
  int rows;
  int copies;          // Values in the pool for each trained weight: 1 to 4.
  bool accumulates;    // The second of them is the accumulator.
  int fixed_elements;  // Where the drawn layers' runs begin in the pool.
  float* pool;         // [pool_elements].
  int pool_elements;
  int32_t* selection;  // [selection_words].
  int selection_words;
  float* importance;  // [candidates], kUnseen or at least 0; null where no draw goes by it.
};

// How channels are drawn; see SamplerInput.
struct DrawRule {
  uint64_t seed;
  uint32_t capacity;
  Weighting weighting;
  Sharpness sharpness;
  uint32_t core_q16;
  ImportanceRule importance_rule;
};

// Channels that can be drawn (counted no further than beyond kMaxChannels, which is too many), and
// the layers they belong to. The layout must be sound.
int CandidateChannels(const TrainingState& state);
int CandidateLayers(const TrainingState& state);

// Bytes of scratch memory that Draw needs.
int64_t DrawScratchBytes(const TrainingState& state);

// What is wrong with a layout: the first word that is out of range, or row -1 if all is well.
struct LayoutFault {
  int row;
  LayoutWord word;
};
LayoutFault CheckLayout(const TrainingState& state);

// Whether every slot's channels and runs lie within layer and pool, as Draw leaves them. To be
// asked before the functions below that follow the slots: memory may have been damaged.
bool CheckSlots(const TrainingState& state);

enum class DrawResult : uint8_t {
  kOk,
  kBadImportance,  // Negative, infinite or not a number: nothing was changed.
  kNoRoom,         // The plan does not fit slots or pool, which a checked layout prevents.
};

// Draws channels: writes every slot, and makes accumulators 0, and what the optimizer keeps of
// drawn layers; the weights are to be loaded then. What it keeps of the fixed part stays, and
// Adam's count: heads and biases are trained on. While no channel was ever trained the draw is
// uniform; once some were, the others get the largest importance among these (MeDyate, arXiv
// 2510.20979, Algorithm 1).
//
// Args:
//   scratch: DrawScratchBytes, aligned to 8 bytes.
DrawResult Draw(const TrainingState& state, const DrawRule& rule, uint32_t draw, uint8_t* scratch);

// Takes notice of a sample that the update ops are about to learn from.
void CountStep(int32_t* selection);

// Makes accumulators 0, and all that the optimizer keeps: its slots, Adam's count.
void ClearRuns(const TrainingState& state);

// Copies the weights of a row's drawn channels and its trained biases into the pool.
//
// Args:
//   weights: of all its channels, [channels][weights of one].
//   biases: [biases]; may be null where none is trained.
//
// Returns:
//   False if a drawn channel is none of the layer: memory is damaged.
bool LoadRow(const TrainingState& state, int row, const float* weights, const float* biases);

// Sum of the squares of all accumulated gradients.
float AccumulatedSquares(const TrainingState& state);

}  // namespace medyate

#endif  // TFLM_OPS_DRAW_TRAINING_STATE_H_
