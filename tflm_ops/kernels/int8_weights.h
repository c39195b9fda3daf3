#ifndef TFLM_OPS_KERNELS_INT8_WEIGHTS_H_
#define TFLM_OPS_KERNELS_INT8_WEIGHTS_H_

// The ops of a layer that is never trained and whose weights lie in 8 bits: forward and input
// gradient. A kind of layer is one of weighted.h with names of its own and, instead of its passes,
//
//   weights_of_output()    what a block of the forward pass needs at least.
//   weights_of_input()     the same of the input gradient.
//   kInPlace               whether the output may lie where the input does, if there are as many
//                          channels: then the block takes some of the input's channels, too.
//   Forward(x, w, bias, block, y), InputGradient(dy, w, block, dx)

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/math/bits.h"
#include "tflm_ops/math/int8_weights.h"

namespace medyate {

// Tensors of both, in order; the second are the weights. The block is the last output.
enum Int8WeightsForwardInput { kInt8WeightsBias = 2, kInt8WeightsScales, kInt8WeightsInputs };
constexpr int kInt8WeightsCommand = 2;

// Checks weights, scales and block.
template <typename Layer>
bool RequireInt8Weights(const OpCall& call, const Layer& layer, int outputs, int block) {
  int sides[Layer::kWeightRank];
  layer.GetWeightShape(sides);
  const int scales[] = {layer.slot.outputs};
  return call.Require(call.inputs() == kInt8WeightsInputs, "inputs", kInt8WeightsInputs,
                      call.inputs()) &&
         call.Require(call.outputs() == outputs, "outputs", outputs, call.outputs()) &&
         call.Require(layer.slot.bias_offset == kNoBiasRun, "bias_offset", kNoBiasRun,
                      layer.slot.bias_offset) &&
         call.RequireShape(call.Input(1), "weights", tflm::kInt8, sides) &&
         call.RequireShape(call.Input(kInt8WeightsScales), "scales", tflm::kFloat32, scales) &&
         call.RequireAtLeast(call.Output(outputs - 1), "block", tflm::kFloat32, block);
}

inline math::Int8Weights Int8WeightsOf(const OpCall& call) {
  return {call.InputData<const int8_t>(1), call.InputData<const float>(kInt8WeightsScales)};
}

inline math::Int8Block Int8BlockOf(const OpCall& call) {
  const int last = call.outputs() - 1;
  return {call.OutputData<float>(last), Elements(*call.Output(last))};
}

// Checks, if the output lies where the input does, that it may, and that the block has room for a
// channel with `weights` and `positions`.
template <typename Layer>
bool RequirePlace(const OpCall& call, const Layer& layer, int weights, int positions) {
  if (call.InputData<const float>(0) != call.OutputData<const float>(0)) return true;
  return call.RequireThat(Layer::kInPlace && layer.slot.channels == layer.slot.outputs,
                          "an output apart from the input") &&
         call.RequireRange("block in place", Int8BlockOf(call).size, int64_t{weights} + positions,
                           0x7fffffff);
}

template <typename Layer>
tflm::Status PrepareInt8WeightsForward(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kForwardName, context, node);
  Layer layer;
  Fused fused;
  MEDYATE_CHECK(layer.Read(call));
  MEDYATE_CHECK(ReadFused(call, layer.options, &fused));
  const int y = layer.output_elements();
  const int outputs = fused.keeps_gates ? 3 : 2;
  MEDYATE_CHECK(RequireInt8Weights(call, layer, outputs, layer.weights_of_output()));
  MEDYATE_CHECK(
      call.RequireElements(call.Input(0), "input", tflm::kFloat32, layer.input_elements()));
  const int biases[] = {layer.slot.outputs};
  MEDYATE_CHECK(!call.Input(kInt8WeightsBias) ||
                call.RequireShape(call.Input(kInt8WeightsBias), "bias", tflm::kFloat32, biases));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "output", tflm::kFloat32, y));
  const int gates[] = {math::PackedBytes(y, 1)};
  MEDYATE_CHECK(!fused.keeps_gates ||
                call.RequireShape(call.Output(1), "gates", tflm::kUInt8, gates));
  return tflm::kOk;
}

template <typename Layer>
tflm::Status EvalInt8WeightsForward(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kForwardName, context, node);
  Layer layer;
  Fused fused;
  MEDYATE_CHECK(layer.Read(call) && ReadFused(call, layer.options, &fused));
  MEDYATE_CHECK(RequirePlace(call, layer, layer.weights_of_output(), layer.slot.stash_elements));
  layer.Forward(call.InputData<const float>(0), Int8WeightsOf(call),
                call.InputData<const float>(kInt8WeightsBias), Int8BlockOf(call),
                call.OutputData<float>(0));
  Activate(call, fused, layer.output_elements());
  return tflm::kOk;
}

template <typename Layer>
tflm::Status PrepareInt8WeightsInputGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kInputGradientName, context, node);
  Layer layer;
  MEDYATE_CHECK(layer.Read(call));
  MEDYATE_CHECK(RequireInt8Weights(call, layer, 2, layer.weights_of_input()));
  MEDYATE_CHECK(RequireCommand(call, kInt8WeightsCommand));
  MEDYATE_CHECK(call.RequireElements(call.Input(0), "output_gradient", tflm::kFloat32,
                                     layer.output_elements()));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32,
                                     layer.input_elements()));
  return tflm::kOk;
}

template <typename Layer>
tflm::Status EvalInt8WeightsInputGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kInputGradientName, context, node);
  if (!IsTraining(call, kInt8WeightsCommand)) return tflm::kOk;
  Layer layer;
  MEDYATE_CHECK(layer.Read(call));
  MEDYATE_CHECK(RequirePlace(call, layer, layer.weights_of_input(), layer.pixels()));
  layer.InputGradient(call.InputData<const float>(0), Int8WeightsOf(call), Int8BlockOf(call),
                      call.OutputData<float>(0));
  return tflm::kOk;
}

template <typename Layer>
tflm::Registration RegisterInt8WeightsForward() {
  return MakeRegistration(Layer::kForwardName, PrepareInt8WeightsForward<Layer>,
                          EvalInt8WeightsForward<Layer>);
}

template <typename Layer>
tflm::Registration RegisterInt8WeightsInputGradient() {
  return MakeRegistration(Layer::kInputGradientName, PrepareInt8WeightsInputGradient<Layer>,
                          EvalInt8WeightsInputGradient<Layer>);
}

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_INT8_WEIGHTS_H_
