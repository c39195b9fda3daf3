#ifndef TFLM_OPS_KERNELS_INT8_HALVES_H_
#define TFLM_OPS_KERNELS_INT8_HALVES_H_

// A convolution and the depthwise one after it on int8 values, both frozen, in one op: what
// INT8_CONV_DEPTHWISE and INT8_BOTTLENECK share.

#include "tflm_ops/kernels/int8_layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/stream_rows.h"
#include "tflm_ops/math/int8_conv2d.h"
#include "tflm_ops/math/int8_depthwise_conv2d.h"

namespace medyate {

// Tensors of both ops, in order. Outputs are all that they have.
enum Int8HalvesInput {
  kHalvesX,
  kConvWeights,
  kConvTable,
  kDepthwiseWeights,
  kDepthwiseTable,
  kHalvesInputs
};
enum Int8HalvesOutput { kHalvesY, kHalvesRows, kHalvesPatches, kHalvesOutputs };

struct Int8Halves {
  Int8Layer conv;
  Int8Layer depthwise;
};

template <typename Options>
bool ReadInt8Halves(const OpCall& call, const Options& options, Int8Halves* halves) {
  return ReadInt8Layer(call, ConvHalf(options), options.input_zero, options.middle_zero, false,
                       &halves->conv) &&
         ReadInt8Layer(call, DepthwiseHalf(options), options.middle_zero, options.output_zero, true,
                       &halves->depthwise);
}

// Bytes of the rows between the two.
inline int Int8HalvesRows(const Int8Halves& halves) {
  return RowsNeeded(halves.depthwise.shape.h) * RowElements(halves.depthwise.shape);
}

// Checks the halves' inputs, and that the op has `inputs` and as many outputs as both ops have.
inline bool RequireInt8Halves(const OpCall& call, const Int8Halves& halves, int inputs) {
  const math::ConvShape& c = halves.conv.shape;
  const math::ConvShape& d = halves.depthwise.shape;
  const int conv_weights[] = {c.out_channels, c.h.kernel, c.w.kernel, c.in_channels};
  const int depthwise_weights[] = {1, d.h.kernel, d.w.kernel, d.out_channels};
  return call.Require(call.inputs() == inputs, "inputs", inputs, call.inputs()) &&
         call.Require(call.outputs() == kHalvesOutputs, "outputs", kHalvesOutputs,
                      call.outputs()) &&
         call.RequireElements(call.Input(kHalvesX), "input", tflm::kInt8,
                              c.h.in * RowElements(c)) &&
         call.RequireShape(call.Input(kConvWeights), "conv_weights", tflm::kInt8, conv_weights) &&
         call.RequireShape(call.Input(kDepthwiseWeights), "depthwise_weights", tflm::kInt8,
                           depthwise_weights) &&
         RequireRequantization(call, kConvTable, halves.conv,
                               int64_t{c.h.kernel} * c.w.kernel * c.in_channels) &&
         RequireRequantization(call, kDepthwiseTable, halves.depthwise,
                               int64_t{d.h.kernel} * d.w.kernel);
}

// Computes the output of the depthwise half row by row: `row_at(out)` says where a row goes, and
// `done(out)` is called when it is there.
template <typename RowAt, typename Done>
void RunInt8Halves(const OpCall& call, const Int8Halves& halves, const RowAt& row_at,
                   const Done& done) {
  const Int8Layer& conv = halves.conv;
  const Int8Layer& depthwise = halves.depthwise;
  const math::Requantization to = RequantizationOf(call, kDepthwiseTable, depthwise);
  const int8_t* weights = call.InputData<const int8_t>(kDepthwiseWeights);
  StreamRows(
      depthwise.shape, call.OutputData<int8_t>(kHalvesRows),
      [&](int row, int8_t* y) {
        int first;
        const math::ConvShape one = OneRow(conv.shape, row, &first);
        const int8_t* x = call.InputData<const int8_t>(kHalvesX) + first * RowElements(conv.shape);
        math::Int8Conv2dForward(one, x, conv.input_zero, call.InputData<const int8_t>(kConvWeights),
                                RequantizationOf(call, kConvTable, conv),
                                call.OutputData<uint8_t>(kHalvesPatches), y);
      },
      [&](const math::ConvShape& one, const int8_t* rows, int out) {
        math::Int8DepthwiseConv2dForward(one, rows, depthwise.input_zero, weights, to, row_at(out));
        done(out);
      });
}

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_INT8_HALVES_H_
