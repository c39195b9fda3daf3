// MEDYATE_MAX_POOL_2D_GRADIENT: hands each output's gradient to the input position it was
// chosen from.

#include "tflm_ops/kernels/geometry.h"
#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/pooling.h"

namespace medyate {
namespace {

enum Input { kChoices, kGradient, kCommand, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kMaxPool2dGradientName, context, node);
  PoolOptions options;
  PoolGeometry geometry;
  int choice_bytes;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadMaxPool(call, options, &geometry, &choice_bytes));
  MEDYATE_CHECK(
      call.Require(options.keeps_choices == 1, "keeps_choices", 1, options.keeps_choices));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  const int choices[] = {choice_bytes};
  MEDYATE_CHECK(call.RequireShape(call.Input(kChoices), "choices", tflm::kUInt8, choices));
  MEDYATE_CHECK(call.RequireElements(call.Input(kGradient), "output_gradient", tflm::kFloat32,
                                     geometry.output_elements));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32,
                                     geometry.input_elements));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kMaxPool2dGradientName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  PoolOptions options;
  PoolGeometry geometry;
  int choice_bytes;
  MEDYATE_CHECK(call.Read(&options) && ReadMaxPool(call, options, &geometry, &choice_bytes));
  const bool inside =
      math::MaxPoolBackward(geometry.shape, call.InputData<const uint8_t>(kChoices),
                            call.InputData<const float>(kGradient), call.OutputData<float>(0));
  MEDYATE_CHECK(call.RequireThat(inside, "choices inside their windows"));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterMaxPool2dGradient() {
  return MakeRegistration(kMaxPool2dGradientName, Prepare, Eval);
}

}  // namespace medyate
