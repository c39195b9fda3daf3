// MEDYATE_GATE_GRADIENT: the gradient through a fused activation, dx = dy where the gate is open.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/activations.h"
#include "tflm_ops/math/bits.h"

namespace medyate {
namespace {

enum Input { kGates, kGradient, kCommand, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kGateGradientName, context, node);
  GateOptions options;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(
      call.RequireRange("activation", options.activation, kActivationRelu, kActivationLeakyRelu));
  MEDYATE_CHECK(RequireActivation(call, options.activation, options.negative_slope));
  MEDYATE_CHECK(call.Require(options.keeps_gates == 1, "keeps_gates", 1, options.keeps_gates));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(kGradient), "output_gradient", tflm::kFloat32, 1));
  const int n = Elements(*call.Input(kGradient));
  const int gates[] = {math::PackedBytes(n, 1)};
  MEDYATE_CHECK(call.RequireShape(call.Input(kGates), "gates", tflm::kUInt8, gates));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32, n));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kGateGradientName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  GateOptions options;
  MEDYATE_CHECK(call.Read(&options));
  math::GateBackward(call.InputData<const uint8_t>(kGates), call.InputData<const float>(kGradient),
                     Elements(*call.Input(kGradient)), options.negative_slope,
                     call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterGateGradient() {
  return MakeRegistration(kGateGradientName, Prepare, Eval);
}

}  // namespace medyate
