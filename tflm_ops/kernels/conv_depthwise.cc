// MEDYATE_CONV_DEPTHWISE: y = activation(depthwise(activation(conv(x)))), both frozen. The map
// between the two, an inverted bottleneck's widest, exists only as far as one output row needs it.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/kernels/stream_rows.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/depthwise_conv2d.h"

namespace medyate {
namespace {

enum Input { kX, kConvWeights, kConvBias, kDepthwiseWeights, kDepthwiseBias, kInputs };
enum Output { kY, kRows, kOutputs };

struct Half {
  math::ConvShape shape;
  Fused fused;
};

bool ReadHalves(const OpCall& call, Half* conv, Half* depthwise) {
  ConvDepthwiseOptions options;
  if (!call.Read(&options)) return false;
  Slot slot;
  const Conv2dOptions first =
      ConvHalf(options, options.conv_activation, options.conv_negative_slope);
  const Conv2dOptions second =
      DepthwiseHalf(options, options.depthwise_activation, options.depthwise_negative_slope);
  return ReadConv2d(call, first, &conv->shape, &slot) && ReadFused(call, first, &conv->fused) &&
         ReadDepthwiseConv2d(call, second, &depthwise->shape, &slot) &&
         ReadFused(call, second, &depthwise->fused);
}

bool RequireBias(const OpCall& call, int input, const char* what, int elements) {
  return !call.Input(input) ||
         call.RequireElements(call.Input(input), what, tflm::kFloat32, elements);
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConvDepthwiseName, context, node);
  Half conv, depthwise;
  MEDYATE_CHECK(ReadHalves(call, &conv, &depthwise));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == kOutputs, "outputs", kOutputs, call.outputs()));
  const math::ConvShape& c = conv.shape;
  const math::ConvShape& d = depthwise.shape;
  const int conv_weights[] = {c.in_channels, c.h.kernel, c.w.kernel, c.out_channels};
  const int depthwise_weights[] = {d.in_channels, d.h.kernel, d.w.kernel,
                                   d.out_channels / d.in_channels};
  MEDYATE_CHECK(
      call.RequireElements(call.Input(kX), "input", tflm::kFloat32, c.h.in * RowElements(c)));
  MEDYATE_CHECK(
      call.RequireShape(call.Input(kConvWeights), "conv_weights", tflm::kFloat32, conv_weights));
  MEDYATE_CHECK(call.RequireShape(call.Input(kDepthwiseWeights), "depthwise_weights",
                                  tflm::kFloat32, depthwise_weights));
  MEDYATE_CHECK(RequireBias(call, kConvBias, "conv_bias", c.out_channels));
  MEDYATE_CHECK(RequireBias(call, kDepthwiseBias, "depthwise_bias", d.out_channels));
  MEDYATE_CHECK(call.RequireElements(call.Output(kY), "output", tflm::kFloat32,
                                     d.h.out * OutputRowElements(d)));
  return call.RequireElements(call.Output(kRows), "rows", tflm::kFloat32,
                              RowsNeeded(d.h) * RowElements(d))
             ? tflm::kOk
             : tflm::kError;
}

void ConvRow(const OpCall& call, const Half& conv, int row, float* y) {
  int first;
  const math::ConvShape one = OneRow(conv.shape, row, &first);
  const float* x = call.InputData<const float>(kX) + first * RowElements(conv.shape);
  math::Conv2dForward(one, x, math::Frozen(call.InputData<const float>(kConvWeights)),
                      call.InputData<const float>(kConvBias), y);
  ApplyActivation(conv.fused, OutputRowElements(conv.shape), y, nullptr);
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConvDepthwiseName, context, node);
  Half conv, depthwise;
  MEDYATE_CHECK(ReadHalves(call, &conv, &depthwise));
  const math::Weights weights = math::Frozen(call.InputData<const float>(kDepthwiseWeights));
  const float* bias = call.InputData<const float>(kDepthwiseBias);
  StreamRows(
      depthwise.shape, call.OutputData<float>(kRows),
      [&](int row, float* y) { ConvRow(call, conv, row, y); },
      [&](const math::ConvShape& one, const float* rows, int out) {
        float* const y = call.OutputData<float>(kY) + out * OutputRowElements(one);
        math::DepthwiseConv2dForward(one, rows, weights, bias, y);
        ApplyActivation(depthwise.fused, OutputRowElements(one), y, nullptr);
      });
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterConvDepthwise() {
  return MakeRegistration(kConvDepthwiseName, Prepare, Eval);
}

}  // namespace medyate
