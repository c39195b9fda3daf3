// MEDYATE_STASH: keeps the drawn channels of a layer's input in the pool, after their weights.
// MEDYATE_INT8_INPUT_STASH: the same of int8 values, as floats.

#include "tflm_ops/kernels/int8_input.h"
#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/conv2d.h"

namespace medyate {
namespace {

enum Input { kStashInput, kStashPool, kStashSelection, kCommand, kInputs };

tflm::Status Prepare(const OpCall& call, tflm::Type type, int inputs) {
  StashOptions options;
  Slot slot;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadStash(call, options, &slot));
  MEDYATE_CHECK(call.Require(call.inputs() == inputs, "inputs", inputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 0, "outputs", 0, call.outputs()));
  MEDYATE_CHECK(call.RequireElements(call.Input(kStashInput), "input", type,
                                     options.pixels * options.channels));
  MEDYATE_CHECK(RequireState(call, slot, call.Input(kStashPool), call.Input(kStashSelection)));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

bool Read(const OpCall& call, StashOptions* options, Drawn* drawn) {
  Slot slot;
  return call.Read(options) && ReadStash(call, *options, &slot) &&
         ReadDrawn(call, slot, call.Input(kStashPool), call.Input(kStashSelection), drawn);
}

tflm::Status PrepareFloats(tflm::Context* context, tflm::Node* node) {
  return Prepare(OpCall(kStashName, context, node), tflm::kFloat32, kInputs);
}

tflm::Status PrepareInt8s(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8InputStashName, context, node);
  MEDYATE_CHECK(Prepare(call, tflm::kInt8, kInputs + 1) == tflm::kOk);
  return RequireMeaning(call, kInputs) ? tflm::kOk : tflm::kError;
}

tflm::Status EvalFloats(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kStashName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  StashOptions options;
  Drawn drawn;
  MEDYATE_CHECK(Read(call, &options, &drawn));
  math::StashChannels(call.InputData<const float>(kStashInput), options.pixels, options.channels,
                      drawn.channels, drawn.count, drawn.stash);
  return tflm::kOk;
}

tflm::Status EvalInt8s(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kInt8InputStashName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  StashOptions options;
  Drawn drawn;
  Int8Meaning meaning;
  MEDYATE_CHECK(ReadMeaning(call, kInputs, &meaning) && Read(call, &options, &drawn));
  math::StashInt8Channels(call.InputData<const int8_t>(kStashInput), options.pixels,
                          options.channels, drawn.channels, drawn.count, meaning.scale,
                          meaning.zero, drawn.stash);
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterStash() {
  return MakeRegistration(kStashName, PrepareFloats, EvalFloats);
}

tflm::Registration RegisterInt8InputStash() {
  return MakeRegistration(kInt8InputStashName, PrepareInt8s, EvalInt8s);
}

}  // namespace medyate
