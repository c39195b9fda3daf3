// MEDYATE_INT8_CONV_DEPTHWISE: a convolution and a depthwise one on int8 values, both frozen. As in
// conv_depthwise.cc the map between the two exists only as far as one output row needs it.

#include "tflm_ops/kernels/int8_layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/kernels/stream_rows.h"
#include "tflm_ops/math/int8_conv2d.h"
#include "tflm_ops/math/int8_depthwise_conv2d.h"

namespace medyate {
namespace {

enum Input { kX, kConvWeights, kConvTable, kDepthwiseWeights, kDepthwiseTable, kInputs };
enum Output { kY, kRows, kPatches, kOutputs };

struct Halves {
  Int8Layer conv;
  Int8Layer depthwise;
};

bool ReadHalves(const OpCall& call, Halves* halves) {
  Int8ConvDepthwiseOptions options;
  return call.Read(&options) &&
         ReadInt8Layer(call, ConvHalf(options), options.input_zero, options.middle_zero, false,
                       &halves->conv) &&
         ReadInt8Layer(call, DepthwiseHalf(options), options.middle_zero, options.output_zero, true,
                       &halves->depthwise);
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8ConvDepthwiseName, context, node);
  Halves halves;
  MEDYATE_CHECK(ReadHalves(call, &halves));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == kOutputs, "outputs", kOutputs, call.outputs()));
  const math::ConvShape& c = halves.conv.shape;
  const math::ConvShape& d = halves.depthwise.shape;
  const int conv_weights[] = {c.out_channels, c.h.kernel, c.w.kernel, c.in_channels};
  const int depthwise_weights[] = {1, d.h.kernel, d.w.kernel, d.out_channels};
  MEDYATE_CHECK(
      call.RequireElements(call.Input(kX), "input", tflm::kInt8, c.h.in * RowElements(c)));
  MEDYATE_CHECK(
      call.RequireShape(call.Input(kConvWeights), "conv_weights", tflm::kInt8, conv_weights));
  MEDYATE_CHECK(call.RequireShape(call.Input(kDepthwiseWeights), "depthwise_weights", tflm::kInt8,
                                  depthwise_weights));
  MEDYATE_CHECK(RequireRequantization(call, kConvTable, halves.conv,
                                      int64_t{c.h.kernel} * c.w.kernel * c.in_channels));
  MEDYATE_CHECK(RequireRequantization(call, kDepthwiseTable, halves.depthwise,
                                      int64_t{d.h.kernel} * d.w.kernel));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(kY), "output", tflm::kInt8, d.h.out * OutputRowElements(d)));
  MEDYATE_CHECK(call.RequireElements(call.Output(kRows), "rows", tflm::kUInt8,
                                     RowsNeeded(d.h) * RowElements(d)));
  return call.RequireElements(call.Output(kPatches), "patches", tflm::kUInt8,
                              math::Int8PatchBytes(c))
             ? tflm::kOk
             : tflm::kError;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8ConvDepthwiseName, context, node);
  Halves halves;
  MEDYATE_CHECK(ReadHalves(call, &halves));
  const Int8Layer& conv = halves.conv;
  const Int8Layer& depthwise = halves.depthwise;
  const math::Requantization to = RequantizationOf(call, kDepthwiseTable, depthwise);
  const int8_t* weights = call.InputData<const int8_t>(kDepthwiseWeights);
  StreamRows(
      depthwise.shape, call.OutputData<int8_t>(kRows), call.OutputData<int8_t>(kY),
      [&](int row, int8_t* y) {
        int first;
        const math::ConvShape one = OneRow(conv.shape, row, &first);
        const int8_t* x = call.InputData<const int8_t>(kX) + first * RowElements(conv.shape);
        math::Int8Conv2dForward(one, x, conv.input_zero, call.InputData<const int8_t>(kConvWeights),
                                RequantizationOf(call, kConvTable, conv),
                                call.OutputData<uint8_t>(kPatches), y);
      },
      [&](const math::ConvShape& one, const int8_t* rows, int8_t* y) {
        math::Int8DepthwiseConv2dForward(one, rows, depthwise.input_zero, weights, to, y);
      });
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterInt8ConvDepthwise() {
  return MakeRegistration(kInt8ConvDepthwiseName, Prepare, Eval);
}

}  // namespace medyate
