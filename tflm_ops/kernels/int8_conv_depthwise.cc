// MEDYATE_INT8_CONV_DEPTHWISE: a convolution and a depthwise one on int8 values, both frozen. As in
// conv_depthwise.cc the map between the two exists only as far as one output row needs it.

#include "tflm_ops/kernels/int8_halves.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

bool Read(const OpCall& call, Int8Halves* halves) {
  Int8ConvDepthwiseOptions options;
  return call.Read(&options) && ReadInt8Halves(call, options, halves);
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8ConvDepthwiseName, context, node);
  Int8Halves halves;
  MEDYATE_CHECK(Read(call, &halves) && RequireInt8Halves(call, halves, kHalvesInputs));
  const math::ConvShape& d = halves.depthwise.shape;
  MEDYATE_CHECK(call.RequireElements(call.Output(kHalvesY), "output", tflm::kInt8,
                                     d.h.out * OutputRowElements(d)));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(kHalvesRows), "rows", tflm::kUInt8, Int8HalvesRows(halves)));
  return call.RequireElements(call.Output(kHalvesPatches), "patches", tflm::kUInt8,
                              math::Int8PatchBytes(halves.conv.shape))
             ? tflm::kOk
             : tflm::kError;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8ConvDepthwiseName, context, node);
  Int8Halves halves;
  MEDYATE_CHECK(Read(call, &halves));
  int8_t* const y = call.OutputData<int8_t>(kHalvesY);
  const int row = OutputRowElements(halves.depthwise.shape);
  RunInt8Halves(
      call, halves, [&](int out) { return y + out * row; }, [](int) {});
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterInt8ConvDepthwise() {
  return MakeRegistration(kInt8ConvDepthwiseName, Prepare, Eval);
}

}  // namespace medyate
