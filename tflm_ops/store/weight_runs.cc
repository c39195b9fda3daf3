#include "tflm_ops/store/weight_runs.h"

namespace medyate {
namespace {

const uint32_t kSlotHeaderWords = 2;

}  // namespace

uint32_t SelectionRuns::RunsOf(const TrainedLayer& layer) const {
  return static_cast<uint32_t>(selection_[layer.selection_offset]) + (layer.biases > 0 ? 1 : 0);
}

uint32_t SelectionRuns::count() const {
  uint32_t count = 0;
  for (uint32_t i = 0; i < layer_count_; ++i) count += RunsOf(layers_[i]);
  return count;
}

WeightRun SelectionRuns::run(uint32_t i) const {
  const TrainedLayer* layer = layers_;
  for (; i >= RunsOf(*layer); ++layer) i -= RunsOf(*layer);
  const int32_t* slot = selection_ + layer->selection_offset;
  if (i == static_cast<uint32_t>(slot[0])) {
    return {layer->bias_pool_offset, layer->bias_weights_offset, layer->biases};
  }
  const uint32_t pair = static_cast<uint32_t>(slot[kSlotHeaderWords + i / 2]);
  const uint32_t channel = i % 2 == 0 ? pair & 0xffffu : pair >> 16;
  return {static_cast<uint32_t>(slot[1]) + i * layer->channel_weights,
          layer->weights_offset + channel * layer->channel_weights, layer->channel_weights};
}

}  // namespace medyate
