// MEDYATE_INT8_CONV_2D: a frozen convolution on int8 values.

#include "tflm_ops/math/int8_conv2d.h"

#include "tflm_ops/kernels/int8_layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

enum Output { kY, kPatches, kOutputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8Conv2dName, context, node);
  Int8Layer layer;
  MEDYATE_CHECK(ReadInt8Layer(call, false, &layer));
  MEDYATE_CHECK(call.Require(call.outputs() == kOutputs, "outputs", kOutputs, call.outputs()));
  const math::ConvShape& s = layer.shape;
  MEDYATE_CHECK(RequireInt8Layer(call, layer, int64_t{s.h.kernel} * s.w.kernel * s.in_channels));
  const int weights[] = {s.out_channels, s.h.kernel, s.w.kernel, s.in_channels};
  MEDYATE_CHECK(call.RequireShape(call.Input(kInt8Weights), "weights", tflm::kInt8, weights));
  return call.RequireElements(call.Output(kPatches), "patches", tflm::kUInt8,
                              math::Int8PatchBytes(s))
             ? tflm::kOk
             : tflm::kError;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8Conv2dName, context, node);
  Int8Layer layer;
  MEDYATE_CHECK(ReadInt8Layer(call, false, &layer));
  math::Int8Conv2dForward(layer.shape, call.InputData<const int8_t>(kInt8Input), layer.input_zero,
                          call.InputData<const int8_t>(kInt8Weights),
                          RequantizationOf(call, kInt8Requantization, layer),
                          call.OutputData<uint8_t>(kPatches), call.OutputData<int8_t>(kY));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterInt8Conv2d() { return MakeRegistration(kInt8Conv2dName, Prepare, Eval); }

}  // namespace medyate
