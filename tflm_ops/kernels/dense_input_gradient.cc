// MEDYATE_DENSE_INPUT_GRADIENT: dx = dy * (w + delta) transposed.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/dense.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDenseInputGradientName, context, node);
  DenseOptions options;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadDense(call, options, &slot));
  MEDYATE_CHECK(RequireInputGradient(call, slot));
  const int w[] = {options.inputs, options.units};
  MEDYATE_CHECK(call.RequireElements(call.Input(kOutputGradient), "output_gradient", tflm::kFloat32,
                                     options.units));
  MEDYATE_CHECK(call.RequireShape(call.Input(kWeights), "weights", tflm::kFloat32, w));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32, options.inputs));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDenseInputGradientName, context, node);
  if (!IsTraining(call, kGradientCommand)) return tflm::kOk;
  DenseOptions options;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options) && ReadDense(call, options, &slot));
  const float* dy = call.InputData<const float>(kOutputGradient);
  float* dx = call.OutputData<float>(0);
  math::DenseInputGradient(options.inputs, options.units, dy, call.InputData<const float>(kWeights),
                           dx);
  if (call.inputs() == kTrainableInputs) {
    Drawn drawn;
    MEDYATE_CHECK(
        ReadDrawn(call, slot, call.Input(kGradientPool), call.Input(kGradientSelection), &drawn));
    math::DenseInputGradientDelta(options.inputs, options.units, dy, drawn.channels, drawn.count,
                                  drawn.run.delta, dx);
  }
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterDenseInputGradient() {
  return MakeRegistration(kDenseInputGradientName, Prepare, Eval);
}

}  // namespace medyate
