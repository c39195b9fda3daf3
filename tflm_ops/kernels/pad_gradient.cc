// MEDYATE_PAD_GRADIENT: the gradient without its rim.

#include "tflm_ops/kernels/geometry.h"
#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/elementwise.h"

namespace medyate {
namespace {

enum Input { kGradient, kCommand, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kPadGradientName, context, node);
  PadOptions options;
  PadGeometry geometry;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadPad(call, options, &geometry));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireElements(call.Input(kGradient), "output_gradient", tflm::kFloat32,
                                     geometry.padded_elements));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32,
                                     geometry.inner_elements));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kPadGradientName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  PadOptions options;
  PadGeometry geometry;
  MEDYATE_CHECK(call.Read(&options) && ReadPad(call, options, &geometry));
  math::PadBackward(geometry.shape, call.InputData<const float>(kGradient),
                    call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterPadGradient() {
  return MakeRegistration(kPadGradientName, Prepare, Eval);
}

}  // namespace medyate
