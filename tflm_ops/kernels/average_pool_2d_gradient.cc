// MEDYATE_AVERAGE_POOL_2D_GRADIENT: hands each output's gradient to its window in equal shares.

#include "tflm_ops/kernels/geometry.h"
#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/pooling.h"

namespace medyate {
namespace {

enum Input { kGradient, kCommand, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kAveragePool2dGradientName, context, node);
  PoolOptions options;
  PoolGeometry geometry;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadAveragePool(call, options, &geometry));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireElements(call.Input(kGradient), "output_gradient", tflm::kFloat32,
                                     geometry.output_elements));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32,
                                     geometry.input_elements));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kAveragePool2dGradientName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  PoolOptions options;
  PoolGeometry geometry;
  MEDYATE_CHECK(call.Read(&options) && ReadAveragePool(call, options, &geometry));
  math::AveragePoolBackward(geometry.shape, call.InputData<const float>(kGradient),
                            call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterAveragePool2dGradient() {
  return MakeRegistration(kAveragePool2dGradientName, Prepare, Eval);
}

}  // namespace medyate
