// MEDYATE_DENSE_UPDATE: delta -= rate * (stash * dy), bias delta -= rate * dy.

#include <string.h>

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/dense.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDenseUpdateName, context, node);
  DenseOptions options;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadDense(call, options, &slot));
  MEDYATE_CHECK(RequireUpdate(call, slot));
  const int dy[] = {1, options.units};
  MEDYATE_CHECK(
      call.RequireShape(call.Input(kOutputGradient), "output_gradient", tflm::kFloat32, dy));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDenseUpdateName, context, node);
  if (!IsStep(call, kUpdateCommand)) return tflm::kOk;
  DenseOptions options;
  Slot slot;
  float rate;
  Drawn drawn;
  MEDYATE_CHECK(call.Read(&options) && ReadDense(call, options, &slot));
  MEDYATE_CHECK(ReadLearningRate(call, &rate));
  MEDYATE_CHECK(
      ReadDrawn(call, slot, call.Input(kUpdatePool), call.Input(kUpdateSelection), &drawn));
  const float* dy = call.InputData<const float>(kOutputGradient);
  float* gradient = call.OutputData<float>(0);
  const int room = Elements(*call.Output(0)) / options.units;
  for (int begin = 0; begin < drawn.count; begin += room) {
    const int n = drawn.count - begin < room ? drawn.count - begin : room;
    memset(gradient, 0, sizeof(float) * n * options.units);
    math::DenseWeightGradientSelected(options.units, drawn.stash + begin, n, dy, gradient);
    Step(rate, gradient, n * options.units, drawn.delta + begin * options.units);
  }
  UpdateBias(call, slot, 1, rate);
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterDenseUpdate() {
  return MakeRegistration(kDenseUpdateName, Prepare, Eval);
}

}  // namespace medyate
