// MEDYATE_CONCATENATION_GRADIENT: one input's part of the gradient of a concatenation.

#include "tflm_ops/kernels/geometry.h"
#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/elementwise.h"

namespace medyate {
namespace {

enum Input { kGradient, kCommand, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConcatenationGradientName, context, node);
  ConcatenationOptions options;
  math::ConcatPart part;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadConcatPart(call, options, &part));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireElements(call.Input(kGradient), "output_gradient", tflm::kFloat32,
                                     part.blocks * part.total));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32,
                                     part.blocks * part.block));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConcatenationGradientName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  ConcatenationOptions options;
  math::ConcatPart part;
  MEDYATE_CHECK(call.Read(&options) && ReadConcatPart(call, options, &part));
  math::ConcatBackward(part, call.InputData<const float>(kGradient), call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterConcatenationGradient() {
  return MakeRegistration(kConcatenationGradientName, Prepare, Eval);
}

}  // namespace medyate
