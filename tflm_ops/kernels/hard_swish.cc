// MEDYATE_HARD_SWISH: y = x * min(max(x + 3, 0), 6) / 6.

#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/activations.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kHardSwishName, context, node);
  ElementsOptions options;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(call.Require(call.inputs() == 1, "inputs", 1, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(0), "input", tflm::kFloat32, 1));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(0), "output", tflm::kFloat32, Elements(*call.Input(0))));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kHardSwishName, context, node);
  math::HardSwishForward(call.InputData<const float>(0), Elements(*call.Input(0)),
                         call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterHardSwish() { return MakeRegistration(kHardSwishName, Prepare, Eval); }

}  // namespace medyate
