// MEDYATE_PAD: zeros around every channel.

#include "tflm_ops/kernels/geometry.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/elementwise.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kPadName, context, node);
  PadOptions options;
  PadGeometry geometry;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadPad(call, options, &geometry));
  MEDYATE_CHECK(call.Require(call.inputs() == 1, "inputs", 1, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(
      call.RequireElements(call.Input(0), "input", tflm::kFloat32, geometry.inner_elements));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(0), "output", tflm::kFloat32, geometry.padded_elements));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kPadName, context, node);
  PadOptions options;
  PadGeometry geometry;
  MEDYATE_CHECK(call.Read(&options) && ReadPad(call, options, &geometry));
  math::PadForward(geometry.shape, call.InputData<const float>(0), 0.0f, call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterPad() { return MakeRegistration(kPadName, Prepare, Eval); }

}  // namespace medyate
