// MEDYATE_DEPTHWISE_CONV_2D_UPDATE: delta -= rate * (stash * dy), bias delta -= rate * (sum of dy).

#include <string.h>

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/depthwise_conv2d.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDepthwiseConv2dUpdateName, context, node);
  Conv2dOptions options;
  math::ConvShape s;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadDepthwiseConv2d(call, options, &s, &slot));
  MEDYATE_CHECK(RequireUpdate(call, slot));
  const int dy[] = {1, s.h.out, s.w.out, s.out_channels};
  MEDYATE_CHECK(
      call.RequireShape(call.Input(kOutputGradient), "output_gradient", tflm::kFloat32, dy));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDepthwiseConv2dUpdateName, context, node);
  if (!IsStep(call, kUpdateCommand)) return tflm::kOk;
  Conv2dOptions options;
  math::ConvShape s;
  Slot slot;
  float rate;
  Drawn drawn;
  MEDYATE_CHECK(call.Read(&options) && ReadDepthwiseConv2d(call, options, &s, &slot));
  MEDYATE_CHECK(ReadLearningRate(call, &rate));
  MEDYATE_CHECK(
      ReadDrawn(call, slot, call.Input(kUpdatePool), call.Input(kUpdateSelection), &drawn));
  const float* dy = call.InputData<const float>(kOutputGradient);
  float* gradient = call.OutputData<float>(0);
  const int room = Elements(*call.Output(0)) / slot.delta_elements;
  for (int begin = 0; begin < drawn.count; begin += room) {
    const int n = drawn.count - begin < room ? drawn.count - begin : room;
    memset(gradient, 0, sizeof(float) * n * slot.delta_elements);
    math::DepthwiseConv2dWeightGradientSelected(s, drawn.stash + begin * slot.stash_elements,
                                                drawn.channels + begin, n, dy, gradient);
    Step(rate, gradient, n * slot.delta_elements, drawn.delta + begin * slot.delta_elements);
  }
  UpdateBias(call, slot, s.h.out * s.w.out, rate);
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterDepthwiseConv2dUpdate() {
  return MakeRegistration(kDepthwiseConv2dUpdateName, Prepare, Eval);
}

}  // namespace medyate
