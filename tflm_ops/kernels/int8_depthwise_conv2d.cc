// MEDYATE_INT8_DEPTHWISE_CONV_2D: a frozen depthwise convolution on int8 values.

#include "tflm_ops/math/int8_depthwise_conv2d.h"

#include "tflm_ops/kernels/int8_layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8DepthwiseConv2dName, context, node);
  Int8Layer layer;
  MEDYATE_CHECK(ReadInt8Layer(call, true, &layer));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  const math::ConvShape& s = layer.shape;
  MEDYATE_CHECK(RequireInt8Layer(call, layer, int64_t{s.h.kernel} * s.w.kernel));
  const int weights[] = {1, s.h.kernel, s.w.kernel, s.out_channels};
  return call.RequireShape(call.Input(kInt8Weights), "weights", tflm::kInt8, weights)
             ? tflm::kOk
             : tflm::kError;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8DepthwiseConv2dName, context, node);
  Int8Layer layer;
  MEDYATE_CHECK(ReadInt8Layer(call, true, &layer));
  math::Int8DepthwiseConv2dForward(layer.shape, call.InputData<const int8_t>(kInt8Input),
                                   layer.input_zero, call.InputData<const int8_t>(kInt8Weights),
                                   RequantizationOf(call, kInt8Requantization, layer),
                                   call.OutputData<int8_t>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterInt8DepthwiseConv2d() {
  return MakeRegistration(kInt8DepthwiseConv2dName, Prepare, Eval);
}

}  // namespace medyate
