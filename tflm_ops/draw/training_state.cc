#include "tflm_ops/draw/training_state.h"

#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/math/sgd.h"

namespace medyate {
namespace {

// One row of the layout.
class Row {
 public:
  Row(const TrainingState& state, int index) : words_(state.layout + index * kLayoutWords) {}
  int operator[](LayoutWord word) const { return words_[word]; }
  bool is_drawn() const { return words_[kLayoutWordRunOffset] == kDrawnAnew; }

  // Elements of the pool that one channel takes.
  int64_t channel_elements(int copies) const {
    return int64_t{words_[kLayoutWordWeights]} * copies + words_[kLayoutWordStash];
  }

 private:
  const int32_t* words_;
};

int32_t* SlotOf(const TrainingState& state, const Row& row) {
  return state.selection + row[kLayoutWordSelectionOffset];
}

// Calls visit(begin, weights) for each run of trained weights: they are pool[begin, begin +
// weights), their accumulators and optimizer slots lie right after.
template <typename Visit>
void ForEachRun(const TrainingState& state, const Visit& visit) {
  for (int i = 0; i < state.rows; ++i) {
    const Row row(state, i);
    const int32_t* slot = SlotOf(state, row);
    if (slot[0] > 0) visit(slot[1], slot[0] * row[kLayoutWordWeights]);
    if (row[kLayoutWordBiases] > 0) visit(row[kLayoutWordBiasOffset], row[kLayoutWordBiases]);
  }
}

void Clear(const TrainingState& state, int begin, int elements) {
  memset(state.pool + begin, 0, sizeof(float) * elements);
}

constexpr int kMost = 0x7fffffff;

bool Within(int64_t value, int64_t lowest, int64_t highest) {
  return value >= lowest && value <= highest;
}

// First word after a row's slot.
int64_t SlotEnd(const Row& row) {
  return int64_t{row[kLayoutWordSelectionOffset]} + kSelectionHeaderWords +
         (row[kLayoutWordSelectionCapacity] + 1) / 2;
}

// Args:
//   free_word: the first word of the selection that no earlier row's slot holds.
bool IsSound(const TrainingState& state, const Row& row, LayoutWord word, int64_t free_word) {
  const int channels = row[kLayoutWordChannels];
  const int capacity = row[kLayoutWordSelectionCapacity];
  switch (word) {
    case kLayoutWordChannels:
      return Within(channels, 1, kMaxChannels);
    case kLayoutWordSelectionOffset:
      return Within(row[word], free_word, state.selection_words);
    case kLayoutWordSelectionCapacity:
      return Within(capacity, row.is_drawn() ? 0 : channels, channels) &&
             SlotEnd(row) <= state.selection_words;
    case kLayoutWordRunOffset:
      return row.is_drawn() ||
             (row[word] >= 0 &&
              row[word] + channels * row.channel_elements(state.copies) <= state.fixed_elements);
    case kLayoutWordBiasOffset:
      return row[kLayoutWordBiases] == 0 || row[word] >= 0;
    case kLayoutWordBiases:
      return row[word] == 0 ||
             (row[word] > 0 && row[kLayoutWordBiasOffset] + int64_t{row[word]} * state.copies <=
                                   state.fixed_elements);
    default:  // Costs and sizes.
      return Within(row[word], 1, kMost / 4);
  }
}

// The parts of Draw's scratch memory.
struct DrawScratch {
  SamplerMemory sampler;
  CandidateLayer* layers;
};

DrawScratch Divide(const TrainingState& state, uint8_t* scratch) {
  const int candidates = CandidateChannels(state);
  const int layers = CandidateLayers(state);
  DrawScratch parts;
  parts.sampler.keys = reinterpret_cast<float*>(scratch);
  parts.layers = reinterpret_cast<CandidateLayer*>(parts.sampler.keys + candidates);
  parts.sampler.order = reinterpret_cast<uint16_t*>(parts.layers + layers);
  parts.sampler.chosen = reinterpret_cast<uint8_t*>(parts.sampler.order + candidates);
  return parts;
}

bool IsChosen(const uint8_t* chosen, int index) { return (chosen[index / 8] >> (index % 8)) & 1; }

// Whether every layer's choice fits its slot, and all together the pool.
bool Fits(const TrainingState& state, const uint8_t* chosen) {
  int64_t end = state.fixed_elements;
  int first = 0;
  for (int i = 0; i < state.rows; ++i) {
    const Row row(state, i);
    if (!row.is_drawn()) continue;
    int count = 0;
    for (int c = 0; c < row[kLayoutWordChannels]; ++c) count += IsChosen(chosen, first + c);
    if (count > row[kLayoutWordSelectionCapacity]) return false;
    end += count * row.channel_elements(state.copies);
    first += row[kLayoutWordChannels];
  }
  return end <= state.pool_elements;
}

// Fills a slot with the chosen channels, or with all of them.
//
// Returns:
//   How many they are.
int FillSlot(const Row& row, const uint8_t* chosen, int first, int run_offset, int32_t* slot) {
  uint16_t* channels = reinterpret_cast<uint16_t*>(slot + kSelectionHeaderWords);
  int count = 0;
  for (int c = 0; c < row[kLayoutWordChannels]; ++c) {
    if (!chosen || IsChosen(chosen, first + c)) channels[count++] = static_cast<uint16_t>(c);
  }
  slot[0] = count;
  slot[1] = run_offset;
  return count;
}

void FillSlots(const TrainingState& state, const uint8_t* chosen) {
  int end = state.fixed_elements;
  int first = 0;
  for (int i = 0; i < state.rows; ++i) {
    const Row row(state, i);
    if (!row.is_drawn()) {
      FillSlot(row, nullptr, 0, row[kLayoutWordRunOffset], SlotOf(state, row));
      continue;
    }
    const int count = FillSlot(row, chosen, first, end, SlotOf(state, row));
    end += static_cast<int>(count * row.channel_elements(state.copies));
    first += row[kLayoutWordChannels];
  }
}

}  // namespace

int CandidateChannels(const TrainingState& state) {
  int channels = 0;
  for (int i = 0; i < state.rows && channels <= kMaxChannels; ++i) {
    const Row row(state, i);
    if (row.is_drawn()) channels += row[kLayoutWordChannels];
  }
  return channels;
}

int CandidateLayers(const TrainingState& state) {
  int layers = 0;
  for (int i = 0; i < state.rows; ++i) layers += Row(state, i).is_drawn() ? 1 : 0;
  return layers;
}

int64_t DrawScratchBytes(const TrainingState& state) {
  const int64_t candidates = CandidateChannels(state);
  const int64_t bytes = candidates * static_cast<int64_t>(sizeof(float) + sizeof(uint16_t)) +
                        CandidateLayers(state) * static_cast<int64_t>(sizeof(CandidateLayer)) +
                        (candidates + 7) / 8;
  return bytes > 0 ? bytes : 1;
}

LayoutFault CheckLayout(const TrainingState& state) {
  int64_t free_word = kStateWords;
  for (int i = 0; i < state.rows; ++i) {
    const Row row(state, i);
    for (int word = 0; word < kLayoutWords; ++word) {
      if (!IsSound(state, row, static_cast<LayoutWord>(word), free_word)) {
        return {i, static_cast<LayoutWord>(word)};
      }
    }
    free_word = SlotEnd(row);
  }
  return {-1, kLayoutWordChannels};
}

bool CheckSlots(const TrainingState& state) {
  for (int i = 0; i < state.rows; ++i) {
    const Row row(state, i);
    const int32_t* slot = SlotOf(state, row);
    if (!Within(slot[0], 0, row[kLayoutWordSelectionCapacity]) ||
        !Within(slot[1], 0, state.pool_elements) ||
        slot[1] + slot[0] * row.channel_elements(state.copies) > state.pool_elements) {
      return false;
    }
  }
  return true;
}

void CountStep(int32_t* selection) {
  int32_t* steps = &selection[kStateWordSteps];
  if (*steps >= 0 && *steps < kMost) ++*steps;
}

DrawResult Draw(const TrainingState& state, const DrawRule& rule, uint32_t draw, uint8_t* scratch) {
  const DrawScratch parts = Divide(state, scratch);
  SamplerInput input;
  input.layers = parts.layers;
  input.layer_count = 0;
  for (int i = 0; i < state.rows; ++i) {
    const Row row(state, i);
    if (!row.is_drawn()) continue;
    parts.layers[input.layer_count++] = {static_cast<uint32_t>(row[kLayoutWordChannels]),
                                         static_cast<uint32_t>(row[kLayoutWordChannelCost])};
  }
  input.importance = state.importance;
  input.capacity = rule.capacity;
  input.seed = rule.seed;
  input.draw = draw;
  input.weighting = rule.weighting;
  input.sharpness = rule.sharpness;
  input.core_q16 = rule.core_q16;
  if (state.importance && rule.weighting != Weighting::kUniform) {
    const Seen seen = FillUnseen(state.importance, CandidateChannels(state));
    if (seen == Seen::kBad) return DrawResult::kBadImportance;
    if (seen == Seen::kNone) {
      input.weighting = Weighting::kUniform;
      input.core_q16 = 0;
    }
  }
  uint32_t used = 0;
  if (input.layer_count > 0 && SampleChannels(input, parts.sampler, &used) != SamplerStatus::kOk) {
    return DrawResult::kBadImportance;
  }
  if (!Fits(state, parts.sampler.chosen)) return DrawResult::kNoRoom;
  FillSlots(state, parts.sampler.chosen);
  Clear(state, state.fixed_elements, state.pool_elements - state.fixed_elements);
  ForEachRun(state, [&state](int begin, int weights) {
    if (begin < state.fixed_elements && state.accumulates) Clear(state, begin + weights, weights);
  });
  state.selection[kStateWordSteps] = rule.importance_rule == kImportanceRuleDrawMean ? 0 : kNoSteps;
  return DrawResult::kOk;
}

void ClearRuns(const TrainingState& state) {
  ForEachRun(state, [&state](int begin, int weights) {
    Clear(state, begin + weights, weights * (state.copies - 1));
  });
  const int64_t end = SlotEnd(Row(state, state.rows - 1));  // Adam's words, if there are any.
  memset(state.selection + end, 0, sizeof(int32_t) * (state.selection_words - end));
}

bool LoadRow(const TrainingState& state, int row, const float* weights, const float* biases) {
  const Row r(state, row);
  const int32_t* slot = SlotOf(state, r);
  const uint16_t* channels = reinterpret_cast<const uint16_t*>(slot + kSelectionHeaderWords);
  const int run = r[kLayoutWordWeights];
  float* to = state.pool + slot[1];
  for (int n = 0; n < slot[0]; ++n, to += run) {
    if (channels[n] >= r[kLayoutWordChannels]) return false;
    memcpy(to, weights + channels[n] * run, sizeof(float) * run);
  }
  if (r[kLayoutWordBiases] > 0) {
    memcpy(state.pool + r[kLayoutWordBiasOffset], biases, sizeof(float) * r[kLayoutWordBiases]);
  }
  return true;
}

float AccumulatedSquares(const TrainingState& state) {
  float sum = 0.0f;
  ForEachRun(state, [&state, &sum](int begin, int weights) {
    sum += math::SumOfSquares(state.pool + begin + weights, weights);
  });
  return sum;
}

}  // namespace medyate
