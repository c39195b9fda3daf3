// MEDYATE_DEPTHWISE_CONV_2D: y = activation(bias + x * (w + delta)).

#include "tflm_ops/math/depthwise_conv2d.h"

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDepthwiseConv2dName, context, node);
  Conv2dOptions options;
  math::ConvShape s;
  Slot slot;
  Fused fused;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadDepthwiseConv2d(call, options, &s, &slot));
  MEDYATE_CHECK(ReadFused(call, options, &fused));
  MEDYATE_CHECK(RequireForward(call, slot, fused, s.h.out * s.w.out * s.out_channels));
  const int x = s.h.in * s.w.in * s.in_channels;
  const int w[] = {s.in_channels, s.h.kernel, s.w.kernel, s.out_channels / s.in_channels};
  const int y = s.h.out * s.w.out * s.out_channels;
  MEDYATE_CHECK(call.RequireElements(call.Input(kInput), "input", tflm::kFloat32, x));
  MEDYATE_CHECK(call.RequireShape(call.Input(kWeights), "weights", tflm::kFloat32, w));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "output", tflm::kFloat32, y));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDepthwiseConv2dName, context, node);
  Conv2dOptions options;
  math::ConvShape s;
  Slot slot;
  Fused fused;
  MEDYATE_CHECK(call.Read(&options) && ReadDepthwiseConv2d(call, options, &s, &slot) &&
                ReadFused(call, options, &fused));
  const float* x = call.InputData<const float>(kInput);
  float* y = call.OutputData<float>(0);
  math::DepthwiseConv2dForward(s, x, call.InputData<const float>(kWeights),
                               LiveBias(call, slot, fused), y);
  if (call.inputs() == kTrainableInputs) {
    Drawn drawn;
    MEDYATE_CHECK(
        ReadDrawn(call, slot, call.Input(kForwardPool), call.Input(kForwardSelection), &drawn));
    math::DepthwiseConv2dForwardDelta(s, x, drawn.channels, drawn.count, drawn.run.delta, y);
  }
  Activate(call, fused, s.h.out * s.w.out * s.out_channels);
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterDepthwiseConv2d() {
  return MakeRegistration(kDepthwiseConv2dName, Prepare, Eval);
}

}  // namespace medyate
