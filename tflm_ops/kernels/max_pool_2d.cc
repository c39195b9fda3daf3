// MEDYATE_MAX_POOL_2D: the maximum of every window, and where it lay if that is wanted.

#include "tflm_ops/kernels/geometry.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/pooling.h"

namespace medyate {
namespace {

enum Output { kMaxima, kChoices };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kMaxPool2dName, context, node);
  PoolOptions options;
  PoolGeometry geometry;
  int choice_bytes;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadMaxPool(call, options, &geometry, &choice_bytes));
  const int outputs = 1 + options.keeps_choices;
  MEDYATE_CHECK(call.Require(call.inputs() == 1, "inputs", 1, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == outputs, "outputs", outputs, call.outputs()));
  MEDYATE_CHECK(
      call.RequireElements(call.Input(0), "input", tflm::kFloat32, geometry.input_elements));
  MEDYATE_CHECK(call.RequireElements(call.Output(kMaxima), "output", tflm::kFloat32,
                                     geometry.output_elements));
  const int choices[] = {choice_bytes};
  MEDYATE_CHECK(!options.keeps_choices ||
                call.RequireShape(call.Output(kChoices), "choices", tflm::kUInt8, choices));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kMaxPool2dName, context, node);
  PoolOptions options;
  PoolGeometry geometry;
  int choice_bytes;
  MEDYATE_CHECK(call.Read(&options) && ReadMaxPool(call, options, &geometry, &choice_bytes));
  math::MaxPoolForward(geometry.shape, call.InputData<const float>(0),
                       call.OutputData<float>(kMaxima),
                       options.keeps_choices ? call.OutputData<uint8_t>(kChoices) : nullptr);
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterMaxPool2d() { return MakeRegistration(kMaxPool2dName, Prepare, Eval); }

}  // namespace medyate
