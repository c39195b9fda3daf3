// MEDYATE_ACTIVATION: ReLU, ReLU6 or LeakyReLU on its own, and its gates if they are wanted.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/activations.h"
#include "tflm_ops/math/bits.h"

namespace medyate {
namespace {

enum Output { kActivated, kGates };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kActivationName, context, node);
  GateOptions options;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(
      call.RequireRange("activation", options.activation, kActivationRelu, kActivationLeakyRelu));
  MEDYATE_CHECK(RequireActivation(call, options.activation, options.negative_slope));
  MEDYATE_CHECK(call.RequireRange("keeps_gates", options.keeps_gates, 0, 1));
  const int outputs = 1 + options.keeps_gates;
  MEDYATE_CHECK(call.Require(call.inputs() == 1, "inputs", 1, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == outputs, "outputs", outputs, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(0), "input", tflm::kFloat32, 1));
  const int n = Elements(*call.Input(0));
  MEDYATE_CHECK(call.RequireElements(call.Output(kActivated), "output", tflm::kFloat32, n));
  const int gates[] = {math::PackedBytes(n, 1)};
  MEDYATE_CHECK(!options.keeps_gates ||
                call.RequireShape(call.Output(kGates), "gates", tflm::kUInt8, gates));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kActivationName, context, node);
  GateOptions options;
  MEDYATE_CHECK(call.Read(&options));
  const float* x = call.InputData<const float>(0);
  const int n = Elements(*call.Input(0));
  float* y = call.OutputData<float>(kActivated);
  uint8_t* gates = options.keeps_gates ? call.OutputData<uint8_t>(kGates) : nullptr;
  if (options.activation == kActivationRelu) math::ReluForward(x, n, y, gates);
  if (options.activation == kActivationRelu6) math::Relu6Forward(x, n, y, gates);
  if (options.activation == kActivationLeakyRelu) {
    math::LeakyReluForward(x, n, options.negative_slope, y, gates);
  }
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterActivation() { return MakeRegistration(kActivationName, Prepare, Eval); }

}  // namespace medyate
