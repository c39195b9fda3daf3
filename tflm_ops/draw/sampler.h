#ifndef TFLM_OPS_DRAW_SAMPLER_H_
#define TFLM_OPS_DRAW_SAMPLER_H_

// Dynamic sampling on the device: the twin of tf_medyate/select/sampling.py, whose docstring
// specifies it step by step. Both draw the same channels, bit for bit; tests/golden/sampler.json
// holds them to it. No heap, no libm; needs FPSCR.FZ = 0.
//
// Candidates are numbered flat: the kept layers in execution order, channels rising.

#include <stdint.h>

#include "tflm_ops/schema/op_options.h"

namespace medyate {

// SplitMix64 of seed and draw, step 1: without it the draws of one seed are correlated.
uint64_t MixedSeed(uint64_t seed, uint64_t draw);

// PCG-XSH-RR 64/32 (O'Neill 2014), step 1.
class Pcg32 {
 public:
  Pcg32(uint64_t seed, uint64_t stream);
  uint32_t Next();

 private:
  uint64_t state_;
  uint64_t increment_;
};

// -log2((u + 1/2) / 2^32) in 2^58ths, step 2.
uint64_t ExponentialFixed(uint32_t u);

// The same as a float, in units of ln 2: above 2^-33, at most 33.
float ExponentialVariate(uint32_t u);

struct CandidateLayer {
  uint32_t channels;
  uint32_t channel_cost;  // Of one channel, in the budget's unit; above 0.
};

// What to draw from and how.
struct SamplerInput {
  const CandidateLayer* layers;  // [layer_count], kept layers in execution order.
  int layer_count;
  const float* importance;  // [candidates], finite and at least 0; not read with kUniform.
  uint32_t capacity;        // What is left beside heads and biases, in the budget's unit.
  uint64_t seed;
  uint64_t draw;  // Below 2^63.
  Weighting weighting;
  Sharpness sharpness;
  uint32_t core_q16;  // Share of the strongest channels in 2^16ths, at most 65536: greedy.
};

// The memory of a draw, for as many candidates as it has: at most 65,535.
struct SamplerMemory {
  float* keys;      // [candidates], scratch.
  uint16_t* order;  // [candidates], scratch.
  uint8_t* chosen;  // [(candidates + 7) / 8], overwritten: bit j % 8 of byte j / 8 is candidate j.
};

enum class SamplerStatus : uint8_t {
  kOk,
  kTooManyCandidates,  // More than 65,535.
  kBadImportance,      // Negative, infinite or not a number; `chosen` is all 0.
};

// Candidates of all layers together.
uint32_t CandidateCount(const SamplerInput& input);

// Steps 3 and 4 for one candidate.
//
// Args:
//   largest: the largest strength of all candidates.
float StrengthOf(Weighting weighting, float importance, uint32_t channel_cost);
float WeightOf(Sharpness sharpness, float strength, float largest);

// What importances say of channels that were trained.
enum class Seen : uint8_t {
  kSome,
  kNone,  // All are kUnseen: the draw is uniform and has no core.
  kBad,   // One is neither kUnseen nor finite and at least 0; nothing was changed.
};

// Step 3, before SampleChannels: channels never trained get the largest importance of the others.
Seen FillUnseen(float* importance, int candidates);

// Draws the channels to train until the next draw, steps 1 to 8.
//
// Args:
//   used: what the chosen channels cost together, at most `capacity`; overwritten.
SamplerStatus SampleChannels(const SamplerInput& input, const SamplerMemory& memory,
                             uint32_t* used);

}  // namespace medyate

#endif  // TFLM_OPS_DRAW_SAMPLER_H_
