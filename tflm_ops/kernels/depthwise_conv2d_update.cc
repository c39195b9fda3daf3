// MEDYATE_DEPTHWISE_CONV_2D_UPDATE: delta -= rate * (stash * dy), bias delta -= rate * (sum of dy).

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/kernels/update.h"
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
  const int w[] = {s.in_channels, s.h.kernel, s.w.kernel, s.out_channels / s.in_channels};
  MEDYATE_CHECK(RequireUpdate(call, slot, s.h.out * s.w.out * s.out_channels,
                              options.importance_offset, w, 4));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDepthwiseConv2dUpdateName, context, node);
  Conv2dOptions options;
  math::ConvShape s;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options) && ReadDepthwiseConv2d(call, options, &s, &slot));
  const float* dy = call.InputData<const float>(kUpdateGradient);
  return RunUpdate(call, slot, options.importance_offset, s.h.out * s.w.out,
                   [&s, dy](const float* stash, const uint16_t* channels, int n, float* dw) {
                     math::DepthwiseConv2dWeightGradientSelected(s, stash, channels, n, dy, dw);
                   });
}

}  // namespace

tflm::Registration RegisterDepthwiseConv2dUpdate() {
  return MakeRegistration(kDepthwiseConv2dUpdateName, Prepare, Eval);
}

}  // namespace medyate
