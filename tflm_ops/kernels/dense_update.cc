// MEDYATE_DENSE_UPDATE: delta -= rate * (stash * dy), bias delta -= rate * (dy).

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/kernels/update.h"
#include "tflm_ops/math/dense.h"

namespace medyate {
namespace {

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDenseUpdateName, context, node);
  DenseOptions options;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadDense(call, options, &slot));
  const int w[] = {options.inputs, options.units};
  MEDYATE_CHECK(RequireUpdate(call, slot, options.units, options.importance_offset, w, 2));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDenseUpdateName, context, node);
  DenseOptions options;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options) && ReadDense(call, options, &slot));
  const float* dy = call.InputData<const float>(kUpdateGradient);
  return RunUpdate(call, slot, options.importance_offset, 1,
                   [&options, dy](const float* stash, const uint16_t*, int n, float* dw) {
                     math::DenseWeightGradientSelected(options.units, stash, n, dy, dw);
                   });
}

}  // namespace

tflm::Registration RegisterDenseUpdate() {
  return MakeRegistration(kDenseUpdateName, Prepare, Eval);
}

}  // namespace medyate
