// MEDYATE_DENSE: y = activation(bias + x * (w + delta)).

#include "tflm_ops/math/dense.h"

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDenseName, context, node);
  DenseOptions options;
  Slot slot;
  Fused fused;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadDense(call, options, &slot));
  MEDYATE_CHECK(ReadFused(call, options, &fused));
  MEDYATE_CHECK(RequireForward(call, slot, fused, options.units));
  const int w[] = {options.inputs, options.units};
  MEDYATE_CHECK(call.RequireElements(call.Input(kInput), "input", tflm::kFloat32, options.inputs));
  MEDYATE_CHECK(call.RequireShape(call.Input(kWeights), "weights", tflm::kFloat32, w));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "output", tflm::kFloat32, options.units));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDenseName, context, node);
  DenseOptions options;
  Slot slot;
  Fused fused;
  MEDYATE_CHECK(call.Read(&options) && ReadDense(call, options, &slot) &&
                ReadFused(call, options, &fused));
  const float* x = call.InputData<const float>(kInput);
  float* y = call.OutputData<float>(0);
  math::DenseForward(options.inputs, options.units, x, call.InputData<const float>(kWeights),
                     LiveBias(call, slot, fused), y);
  if (call.inputs() == kTrainableInputs) {
    Drawn drawn;
    MEDYATE_CHECK(
        ReadDrawn(call, slot, call.Input(kForwardPool), call.Input(kForwardSelection), &drawn));
    math::DenseForwardDelta(options.inputs, options.units, x, drawn.channels, drawn.count,
                            drawn.run.delta, y);
  }
  Activate(call, fused, options.units);
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterDense() { return MakeRegistration(kDenseName, Prepare, Eval); }

}  // namespace medyate
