#ifndef TFLM_OPS_KERNELS_WEIGHTED_H_
#define TFLM_OPS_KERNELS_WEIGHTED_H_

// The ops of a layer with weights: forward, input gradient, update. A kind of layer says how its
// options are read, and which functions of tflm_ops/math compute it. It has
//
//   kForwardName, kInputGradientName, kUpdateName, kWeightRank
//   options, slot     set by Read.
//   Read(call)        reads and checks options and geometry.
//   input_elements(), output_elements(), pixels()    of one sample; pixels are output positions.
//   GetWeightShape(sides)                            of the base weights, kWeightRank sides.
//   Forward, InputGradient, WeightGradient

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/update.h"

namespace medyate {

template <typename Layer>
bool RequireWeights(const OpCall& call, const Layer& layer) {
  int sides[Layer::kWeightRank];
  layer.GetWeightShape(sides);
  return call.RequireShape(call.Input(kWeights), "weights", tflm::kFloat32, sides);
}

// Checks a forward op whose input is of type `input`.
template <typename Layer>
bool RequireLayer(const OpCall& call, const Layer& layer, const Fused& fused, tflm::Type input) {
  const int y = layer.output_elements();
  return RequireForward(call, layer.slot, fused, y, input == tflm::kInt8) &&
         call.RequireElements(call.Input(kInput), "input", input, layer.input_elements()) &&
         RequireWeights(call, layer) &&
         call.RequireElements(call.Output(0), "output", tflm::kFloat32, y);
}

template <typename Layer>
tflm::Status PrepareForward(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kForwardName, context, node);
  Layer layer;
  Fused fused;
  MEDYATE_CHECK(layer.Read(call) && ReadFused(call, layer.options, &fused));
  return RequireLayer(call, layer, fused, tflm::kFloat32) ? tflm::kOk : tflm::kError;
}

template <typename Layer>
tflm::Status EvalForward(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kForwardName, context, node);
  Layer layer;
  Fused fused;
  MEDYATE_CHECK(layer.Read(call) && ReadFused(call, layer.options, &fused));
  math::Weights weights;
  MEDYATE_CHECK(ReadWeights(call, layer.slot, &weights));
  layer.Forward(call.InputData<const float>(kInput), weights, BiasOf(call, layer.slot),
                call.OutputData<float>(0));
  Activate(call, fused, layer.output_elements());
  return tflm::kOk;
}

template <typename Layer>
tflm::Status PrepareInputGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kInputGradientName, context, node);
  Layer layer;
  MEDYATE_CHECK(layer.Read(call));
  MEDYATE_CHECK(RequireInputGradient(call, layer.slot));
  MEDYATE_CHECK(call.RequireElements(call.Input(kOutputGradient), "output_gradient", tflm::kFloat32,
                                     layer.output_elements()));
  MEDYATE_CHECK(RequireWeights(call, layer));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32,
                                     layer.input_elements()));
  return tflm::kOk;
}

template <typename Layer>
tflm::Status EvalInputGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kInputGradientName, context, node);
  if (!IsTraining(call, kGradientCommand)) return tflm::kOk;
  Layer layer;
  MEDYATE_CHECK(layer.Read(call));
  math::Weights weights;
  MEDYATE_CHECK(ReadWeights(call, layer.slot, &weights));
  layer.InputGradient(call.InputData<const float>(kOutputGradient), weights,
                      call.OutputData<float>(0));
  return tflm::kOk;
}

template <typename Layer, typename Optimizer>
tflm::Status PrepareUpdate(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kUpdateName, context, node);
  Layer layer;
  MEDYATE_CHECK(layer.Read(call));
  MEDYATE_CHECK(
      RequireUpdate(call, layer.slot, layer.output_elements(), layer.options.importance_offset));
  MEDYATE_CHECK(Optimizer::Require(call, layer.slot));
  return tflm::kOk;
}

template <typename Layer, typename Optimizer>
tflm::Status EvalUpdate(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kUpdateName, context, node);
  Layer layer;
  MEDYATE_CHECK(layer.Read(call));
  const float* dy = call.InputData<const float>(kUpdateGradient);
  return RunUpdate<Optimizer>(
      call, layer.slot, layer.options.importance_offset, layer.pixels(),
      [&layer, dy](const float* stash, const uint16_t* channels, int n, float* dw) {
        layer.WeightGradient(stash, channels, n, dy, dw);
      });
}

template <typename Layer>
tflm::Registration RegisterForward() {
  return MakeRegistration(Layer::kForwardName, PrepareForward<Layer>, EvalForward<Layer>);
}

template <typename Layer>
tflm::Registration RegisterInputGradient() {
  return MakeRegistration(Layer::kInputGradientName, PrepareInputGradient<Layer>,
                          EvalInputGradient<Layer>);
}

template <typename Layer, typename Optimizer = Sgd>
tflm::Registration RegisterUpdate() {
  return MakeRegistration(Layer::kUpdateName, PrepareUpdate<Layer, Optimizer>,
                          EvalUpdate<Layer, Optimizer>);
}

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_WEIGHTED_H_
