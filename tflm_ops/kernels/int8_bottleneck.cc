// MEDYATE_INT8_BOTTLENECK: MEDYATE_INT8_CONV_DEPTHWISE and the pointwise convolution after it. Of
// both maps between there is never more than some rows.

#include "tflm_ops/kernels/int8_halves.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

enum Input { kProjectWeights = kHalvesInputs, kProjectTable, kInputs };

struct Bottleneck {
  Int8Halves halves;
  Int8Layer project;  // Of a single row.
};

bool Read(const OpCall& call, Bottleneck* b) {
  Int8BottleneckOptions o;
  if (!call.Read(&o) || !ReadInt8Halves(call, o, &b->halves)) return false;
  const int32_t row[] = {1, o.output_size[1]}, one[] = {1, 1}, none[] = {0, 0};
  return ReadInt8Layer(call,
                       FrozenConvolution(o.version, o.output_channels, o.project_channels, row, row,
                                         one, one, one, none),
                       o.output_zero, o.project_zero, false, &b->project);
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8BottleneckName, context, node);
  Bottleneck b;
  MEDYATE_CHECK(Read(call, &b) && RequireInt8Halves(call, b.halves, kInputs));
  const math::ConvShape& p = b.project.shape;
  const int64_t y = int64_t{b.halves.depthwise.shape.h.out} * OutputRowElements(p);
  MEDYATE_CHECK(call.RequireRange("elements of the output", y, 1, 0x7fffffff));
  const int weights[] = {p.out_channels, 1, 1, p.in_channels};
  MEDYATE_CHECK(
      call.RequireShape(call.Input(kProjectWeights), "project_weights", tflm::kInt8, weights));
  MEDYATE_CHECK(RequireRequantization(call, kProjectTable, b.project, p.in_channels));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(kHalvesY), "output", tflm::kInt8, static_cast<int>(y)));
  const int64_t rows = int64_t{Int8HalvesRows(b.halves)} + RowElements(p);
  MEDYATE_CHECK(call.RequireRange("bytes of the rows", rows, 1, 0x7fffffff));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(kHalvesRows), "rows", tflm::kUInt8, static_cast<int>(rows)));
  const int conv = math::Int8PatchBytes(b.halves.conv.shape), project = math::Int8PatchBytes(p);
  return call.RequireElements(call.Output(kHalvesPatches), "patches", tflm::kUInt8,
                              conv > project ? conv : project)
             ? tflm::kOk
             : tflm::kError;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8BottleneckName, context, node);
  Bottleneck b;
  MEDYATE_CHECK(Read(call, &b));
  int8_t* const row = call.OutputData<int8_t>(kHalvesRows) + Int8HalvesRows(b.halves);
  int8_t* const y = call.OutputData<int8_t>(kHalvesY);
  RunInt8Halves(
      call, b.halves, [&](int) { return row; },
      [&](int out) {
        math::Int8Conv2dForward(b.project.shape, row, b.project.input_zero,
                                call.InputData<const int8_t>(kProjectWeights),
                                RequantizationOf(call, kProjectTable, b.project),
                                call.OutputData<uint8_t>(kHalvesPatches),
                                y + out * OutputRowElements(b.project.shape));
      });
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterInt8Bottleneck() {
  return MakeRegistration(kInt8BottleneckName, Prepare, Eval);
}

}  // namespace medyate
