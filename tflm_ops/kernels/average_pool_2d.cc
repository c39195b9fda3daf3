// MEDYATE_AVERAGE_POOL_2D: the mean of every window; padding is not counted.

#include "tflm_ops/kernels/geometry.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/pooling.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kAveragePool2dName, context, node);
  PoolOptions options;
  PoolGeometry geometry;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadAveragePool(call, options, &geometry));
  MEDYATE_CHECK(call.Require(call.inputs() == 1, "inputs", 1, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(
      call.RequireElements(call.Input(0), "input", tflm::kFloat32, geometry.input_elements));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(0), "output", tflm::kFloat32, geometry.output_elements));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kAveragePool2dName, context, node);
  PoolOptions options;
  PoolGeometry geometry;
  MEDYATE_CHECK(call.Read(&options) && ReadAveragePool(call, options, &geometry));
  math::AveragePoolForward(geometry.shape, call.InputData<const float>(0),
                           call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterAveragePool2d() {
  return MakeRegistration(kAveragePool2dName, Prepare, Eval);
}

}  // namespace medyate
