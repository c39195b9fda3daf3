// MEDYATE_ADD: a + b, activations of a residual net or, with a command, gradients that meet.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/elementwise.h"

namespace medyate {
namespace {

enum Input { kA, kB, kCommand, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kAddName, context, node);
  ElementsOptions options;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(call.RequireRange("inputs", call.inputs(), kCommand, kInputs));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(kA), "a", tflm::kFloat32, 1));
  const int n = Elements(*call.Input(kA));
  MEDYATE_CHECK(call.RequireElements(call.Input(kB), "b", tflm::kFloat32, n));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "sum", tflm::kFloat32, n));
  MEDYATE_CHECK(call.inputs() <= kCommand || RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kAddName, context, node);
  if (call.inputs() > kCommand && !IsTraining(call, kCommand)) return tflm::kOk;
  math::AddForward(call.InputData<const float>(kA), call.InputData<const float>(kB),
                   Elements(*call.Input(kA)), call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterAdd() { return MakeRegistration(kAddName, Prepare, Eval); }

}  // namespace medyate
