// MEDYATE_STASH: keeps the drawn channels of a layer's input in the pool, after their weights.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/conv2d.h"

namespace medyate {
namespace {

enum Input { kStashInput, kPool, kSelection, kCommand, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kStashName, context, node);
  StashOptions options;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadStash(call, options, &slot));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 0, "outputs", 0, call.outputs()));
  MEDYATE_CHECK(call.RequireElements(call.Input(kStashInput), "input", tflm::kFloat32,
                                     options.pixels * options.channels));
  MEDYATE_CHECK(RequireState(call, slot, call.Input(kPool), call.Input(kSelection)));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kStashName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  StashOptions options;
  Slot slot;
  Drawn drawn;
  MEDYATE_CHECK(call.Read(&options) && ReadStash(call, options, &slot));
  MEDYATE_CHECK(ReadDrawn(call, slot, call.Input(kPool), call.Input(kSelection), &drawn));
  math::StashChannels(call.InputData<const float>(kStashInput), options.pixels, options.channels,
                      drawn.channels, drawn.count, drawn.stash);
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterStash() { return MakeRegistration(kStashName, Prepare, Eval); }

}  // namespace medyate
