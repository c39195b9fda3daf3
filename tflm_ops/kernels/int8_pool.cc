// MEDYATE_INT8_AVERAGE_POOL_2D, MEDYATE_INT8_MAX_POOL_2D: frozen poolings of int8 values.

#include "tflm_ops/kernels/geometry.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/int8_elementwise.h"

namespace medyate {
namespace {

// Neither keeps choices.
bool ReadInt8Pool(const OpCall& call, PoolGeometry* pool) {
  PoolOptions options;
  return call.Read(&options) && ReadAveragePool(call, options, pool);
}

tflm::Status Prepare(const OpCall& call) {
  PoolGeometry pool;
  MEDYATE_CHECK(ReadInt8Pool(call, &pool));
  MEDYATE_CHECK(call.Require(call.inputs() == 1, "inputs", 1, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireElements(call.Input(0), "input", tflm::kInt8, pool.input_elements));
  return call.RequireElements(call.Output(0), "output", tflm::kInt8, pool.output_elements)
             ? tflm::kOk
             : tflm::kError;
}

tflm::Status PrepareAverage(tflm::Context* context, tflm::Node* node) {
  return Prepare(OpCall(kInt8AveragePool2dName, context, node));
}

tflm::Status PrepareMax(tflm::Context* context, tflm::Node* node) {
  return Prepare(OpCall(kInt8MaxPool2dName, context, node));
}

tflm::Status EvalAverage(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8AveragePool2dName, context, node);
  PoolGeometry pool;
  MEDYATE_CHECK(ReadInt8Pool(call, &pool));
  math::Int8AveragePoolForward(pool.shape, call.InputData<const int8_t>(0),
                               call.OutputData<int8_t>(0));
  return tflm::kOk;
}

tflm::Status EvalMax(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8MaxPool2dName, context, node);
  PoolGeometry pool;
  MEDYATE_CHECK(ReadInt8Pool(call, &pool));
  math::Int8MaxPoolForward(pool.shape, call.InputData<const int8_t>(0), call.OutputData<int8_t>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterInt8AveragePool2d() {
  return MakeRegistration(kInt8AveragePool2dName, PrepareAverage, EvalAverage);
}

tflm::Registration RegisterInt8MaxPool2d() {
  return MakeRegistration(kInt8MaxPool2dName, PrepareMax, EvalMax);
}

}  // namespace medyate
