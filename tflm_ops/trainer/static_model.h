#ifndef TFLM_OPS_TRAINER_STATIC_MODEL_H_
#define TFLM_OPS_TRAINER_STATIC_MODEL_H_

// A training step as plain constants: what train.tflite says, without a flatbuffer. Everything is
// const and lies in flash; tf_medyate/exporter/write/cpp.py writes it.

#include <stdint.h>

#include "tflm_ops/draw/schedule.h"
#include "tflm_ops/kernels/tflm_abi.h"
#include "tflm_ops/store/weight_runs.h"
#include "tflm_ops/trainer/sample.h"

namespace medyate {

// Where a tensor's data lie.
enum class Place : uint8_t {
  kArena,     // In RAM: planned, or a variable.
  kConstant,  // In flash, for good.
  kWeights,   // In the weights region, which commits change.
};

struct StaticTensor {
  const int* dims;       // Rank, then the sides: what tflm::IntArray holds.
  const void* constant;  // kConstant: the data; else null.
  uint32_t offset;       // Bytes from the start of the arena or of the weights region.
  uint8_t type;          // A tflm::Type.
  Place place;
};

struct StaticNode {
  tflm::Registration (*registration)();
  const int* inputs;  // How many, then numbers of tensors; tflm::kOptionalTensor: left out.
  const int* outputs;
  const void* options;
  int options_bytes;
};

struct StaticModel {
  const char* name;
  uint32_t hash[2];  // Of all that is described here, weights included; low half first.

  const StaticTensor* tensors;
  int tensor_count;
  const StaticNode* nodes;  // In execution order; the first is the control op.
  int node_count;

  // The arena begins with what the memory plan placed; the variables lie after it, 0 at the start.
  uint32_t planned_bytes;
  uint32_t variable_bytes;

  // The weights region: whole flash pages with all weights that can be trained, and nothing else.
  const float* weights;
  uint32_t weights_floats;  // A multiple of a page.
  uint32_t weights_crc;     // CRC-32 of the region.
  const TrainedLayer* layers;
  uint32_t layer_count;

  // Numbers of tensors.
  int sample;
  int label;
  int learning_rate;
  int command;
  int logits;
  int loss;
  int pool;
  int selection;
  int importance;  // tflm::kOptionalTensor if no draw goes by it.

  int classes;              // Labels are 0 to classes - 1; 0: the label is a vector.
  bool targets_are_shares;  // A vector's numbers lie in 0 .. 1.
  // What makes the model's own output of n logits; null: they are it.
  void (*scores_of)(const float* logits, int n, float* scores);
  uint32_t batch_size;      // Samples whose gradients are averaged before an update.
  bool clips_norm;          // The norm of a batch's gradient is bounded: updates by APPLY alone.
  uint32_t resample_every;  // Epochs from one draw to the next; 0: channels are drawn once.
  CosineSchedule schedule;  // Learning rate over the samples learned from.

  const float* factory;  // A copy of the weights that nothing changes; null: none.
  int named_classes;     // Those after them are spare: a device enrols them. 0: none are spare.
  const char* const* class_names;  // [named_classes], UTF-8; null: they have no names.
  SampleType sample_type;          // Of a model whose sample is int8; else not used.

  // Pages of packed runs in a journal that has no room for the images of all weights; 0: it has.
  uint32_t run_pages;
};

// Classes that are not spare ones as the model ships.
inline int NamedClasses(const StaticModel& model) {
  return model.named_classes > 0 ? model.named_classes : model.classes;
}

// Whether samples are taken in 8 bits; else they are floats.
inline bool TakesInt8(const StaticModel& model) {
  return model.tensors[model.sample].type == tflm::kInt8;
}

// Channels that draws go by; 0 if they go by nothing.
inline uint32_t ImportanceFloats(const StaticModel& model) {
  if (model.importance < 0) return 0;
  const int* dims = model.tensors[model.importance].dims;
  uint32_t floats = 1;
  for (int i = 1; i <= dims[0]; ++i) floats *= static_cast<uint32_t>(dims[i]);
  return floats;
}

}  // namespace medyate

#endif  // TFLM_OPS_TRAINER_STATIC_MODEL_H_
