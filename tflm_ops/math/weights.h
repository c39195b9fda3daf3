#ifndef TFLM_OPS_MATH_WEIGHTS_H_
#define TFLM_OPS_MATH_WEIGHTS_H_

// Where the weights of a layer lie. Those of an input channel are one contiguous run. The runs of
// all channels lie side by side, as they were last committed; the drawn channels, which training
// changes, are read from runs of their own instead.

#include <stdint.h>

namespace medyate {
namespace math {

struct Weights {
  const float* base;         // [I][run]
  const float* live;         // [N][run], in place of those of the drawn channels.
  const uint16_t* channels;  // [N], the drawn ones, rising, each in 0 .. I - 1.
  int n;                     // N; 0 if none is drawn: `live` and `channels` may be null then.
};

// Those of a layer that is not trained.
inline Weights Frozen(const float* base) { return {base, nullptr, nullptr, 0}; }

// Channels that a pass over a layer takes at a time.
constexpr int kBlockChannels = 64;

// Some channels of a layer, side by side.
struct Block {
  int first;
  int count;                          // At least 1.
  const float* weights;               // [count][run]; null if the runs lie here and there.
  const float* runs[kBlockChannels];  // [count]; not set of a larger block.
};

// A layer's channels, block by block.
class Blocks {
 public:
  // Args:
  //   channels: I.
  //   run: weights of a channel.
  //   may_join: all runs that are left are one block, of any size and without `runs`, where they
  //     lie side by side. False if a sum's order would depend on that: it must not on the draw.
  Blocks(const Weights& weights, int channels, int run, bool may_join)
      : weights_(weights), channels_(channels), run_(run), may_join_(may_join) {}

  // Finds the next block; false after the last.
  bool Next(Block* block) {
    const int rest = channels_ - next_;
    const int drawn = weights_.n - drawn_;
    if (rest == 0) return false;
    const bool whole = may_join_ && (drawn == 0 || drawn == rest);
    block->first = next_;
    block->count = whole || rest < kBlockChannels ? rest : kBlockChannels;
    const float* base = weights_.base + next_ * run_;
    next_ += block->count;
    if (whole) {
      block->weights = drawn == 0 ? base : weights_.live + drawn_ * run_;
      return true;
    }
    const int drawn_before = drawn_;
    for (int i = 0; i < block->count; ++i, base += run_) {
      const bool is_drawn = drawn_ < weights_.n && weights_.channels[drawn_] == block->first + i;
      block->runs[i] = is_drawn ? weights_.live + drawn_ * run_ : base;
      if (is_drawn) ++drawn_;
    }
    const bool alike = drawn_ == drawn_before || drawn_ == drawn_before + block->count;
    block->weights = alike ? block->runs[0] : nullptr;
    return true;
  }

 private:
  const Weights& weights_;
  const int channels_;
  const int run_;
  const bool may_join_;
  int next_ = 0;   // Channel.
  int drawn_ = 0;  // Drawn channels before it.
};

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_WEIGHTS_H_
