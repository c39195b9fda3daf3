// MEDYATE_CONCATENATION: the inputs side by side, block after block.

#include "tflm_ops/kernels/geometry.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/elementwise.h"

namespace medyate {
namespace {

constexpr int kLeastInputs = 2;
constexpr int kMostInputs = 65535;

// Moves the part on to the next input.
void Advance(const tflm::EvalTensor& input, math::ConcatPart* part) {
  part->offset += part->block;
  part->block = Elements(input) / part->blocks;
}

// Checks the inputs after the first: together they fill the output's block.
bool RequireOthers(const OpCall& call, math::ConcatPart part) {
  for (int i = 1; i < call.inputs(); ++i) {
    if (!call.RequireAtLeast(call.Input(i), "input", tflm::kFloat32, part.blocks)) return false;
    const int beyond = Elements(*call.Input(i)) % part.blocks;
    if (!call.Require(beyond == 0, "elements of an input beyond a multiple of blocks", 0, beyond)) {
      return false;
    }
    Advance(*call.Input(i), &part);
    if (!call.RequireRange("block of an input", part.block, 1, part.total - part.offset)) {
      return false;
    }
  }
  const int end = part.offset + part.block;
  return call.Require(end == part.total, "blocks of the inputs together", part.total, end);
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConcatenationName, context, node);
  ConcatenationOptions options;
  math::ConcatPart part;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(ReadConcatPart(call, options, &part));
  MEDYATE_CHECK(call.Require(part.offset == 0, "offset of the first input", 0, part.offset));
  MEDYATE_CHECK(call.RequireRange("inputs", call.inputs(), kLeastInputs, kMostInputs));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(
      call.RequireElements(call.Input(0), "input", tflm::kFloat32, part.blocks * part.block));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(0), "output", tflm::kFloat32, part.blocks * part.total));
  MEDYATE_CHECK(RequireOthers(call, part));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConcatenationName, context, node);
  ConcatenationOptions options;
  math::ConcatPart part;
  MEDYATE_CHECK(call.Read(&options) && ReadConcatPart(call, options, &part));
  float* y = call.OutputData<float>(0);
  math::ConcatForward(part, call.InputData<const float>(0), y);
  for (int i = 1; i < call.inputs(); ++i) {
    Advance(*call.Input(i), &part);
    math::ConcatForward(part, call.InputData<const float>(i), y);
  }
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterConcatenation() {
  return MakeRegistration(kConcatenationName, Prepare, Eval);
}

}  // namespace medyate
