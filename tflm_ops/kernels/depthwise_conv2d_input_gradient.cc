// MEDYATE_DEPTHWISE_CONV_2D_INPUT_GRADIENT: dx = dy * (w + delta) transposed.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/depthwise_conv2d.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDepthwiseConv2dInputGradientName, context, node);
  Conv2dOptions options;
  math::ConvShape s;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadDepthwiseConv2d(call, options, &s, &slot));
  MEDYATE_CHECK(RequireInputGradient(call, slot));
  const int dy = s.h.out * s.w.out * s.out_channels;
  const int w[] = {s.in_channels, s.h.kernel, s.w.kernel, s.out_channels / s.in_channels};
  const int dx = s.h.in * s.w.in * s.in_channels;
  MEDYATE_CHECK(
      call.RequireElements(call.Input(kOutputGradient), "output_gradient", tflm::kFloat32, dy));
  MEDYATE_CHECK(call.RequireShape(call.Input(kWeights), "weights", tflm::kFloat32, w));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32, dx));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDepthwiseConv2dInputGradientName, context, node);
  if (!IsTraining(call, kGradientCommand)) return tflm::kOk;
  Conv2dOptions options;
  math::ConvShape s;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options) && ReadDepthwiseConv2d(call, options, &s, &slot));
  const float* dy = call.InputData<const float>(kOutputGradient);
  float* dx = call.OutputData<float>(0);
  math::DepthwiseConv2dInputGradient(s, dy, call.InputData<const float>(kWeights), dx);
  if (call.inputs() == kTrainableInputs) {
    Drawn drawn;
    MEDYATE_CHECK(
        ReadDrawn(call, slot, call.Input(kGradientPool), call.Input(kGradientSelection), &drawn));
    math::DepthwiseConv2dInputGradientDelta(s, dy, drawn.channels, drawn.count, drawn.run.delta,
                                            dx);
  }
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterDepthwiseConv2dInputGradient() {
  return MakeRegistration(kDepthwiseConv2dInputGradientName, Prepare, Eval);
}

}  // namespace medyate
