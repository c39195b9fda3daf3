// MEDYATE_STRIDED_COPY: elements in another order, some of them, or some repeatedly; and
// MEDYATE_STRIDED_COPY_GRADIENT.

#include "tflm_ops/math/strided_copy.h"

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

constexpr int64_t kMaxElements = 0x7fffffff;

// Checks that whatever the options say, no index leaves the input.
bool ReadCopy(const OpCall& call, math::CopyShape* shape, int* output_elements) {
  StridedCopyOptions options;
  if (!call.Read(&options) ||
      !call.RequireRange("input_elements", options.input_elements, 1, kMaxElements) ||
      !call.RequireRange("offset", options.offset, 0, options.input_elements - 1)) {
    return false;
  }
  shape->offset = options.offset;
  shape->input_elements = options.input_elements;
  int64_t last = options.offset;
  int64_t elements = 1;
  for (int i = 0; i < math::kCopySides; ++i) {
    const int64_t side = options.sides[i];
    const int64_t stride = options.strides[i];
    if (!call.RequireRange("sides", side, 1, kMaxElements) ||
        !call.RequireRange("strides", stride, 0, kMaxElements)) {
      return false;
    }
    last += (side - 1) * stride;
    elements *= side;
    if (!call.RequireRange("last element copied", last, 0, options.input_elements - 1) ||
        !call.RequireRange("elements of the output", elements, 1, kMaxElements)) {
      return false;
    }
    shape->sides[i] = options.sides[i];
    shape->strides[i] = side == 1 ? 0 : options.strides[i];  // what is never added may be odd
  }
  *output_elements = static_cast<int>(elements);
  return true;
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kStridedCopyName, context, node);
  math::CopyShape shape;
  int outputs;
  MEDYATE_CHECK(ReadCopy(call, &shape, &outputs));
  MEDYATE_CHECK(call.Require(call.inputs() == 1, "inputs", 1, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireElements(call.Input(0), "input", tflm::kFloat32, shape.input_elements));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "output", tflm::kFloat32, outputs));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kStridedCopyName, context, node);
  math::CopyShape shape;
  int outputs;
  MEDYATE_CHECK(ReadCopy(call, &shape, &outputs));
  math::StridedCopyForward(shape, call.InputData<const float>(0), call.OutputData<float>(0));
  return tflm::kOk;
}

enum Input { kGradient, kCommand, kInputs };

tflm::Status PrepareGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kStridedCopyGradientName, context, node);
  math::CopyShape shape;
  int outputs;
  MEDYATE_CHECK(ReadCopy(call, &shape, &outputs));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(
      call.RequireElements(call.Input(kGradient), "output_gradient", tflm::kFloat32, outputs));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32, shape.input_elements));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status EvalGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kStridedCopyGradientName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  math::CopyShape shape;
  int outputs;
  MEDYATE_CHECK(ReadCopy(call, &shape, &outputs));
  math::StridedCopyBackward(shape, call.InputData<const float>(kGradient),
                            call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterStridedCopy() {
  return MakeRegistration(kStridedCopyName, Prepare, Eval);
}

tflm::Registration RegisterStridedCopyGradient() {
  return MakeRegistration(kStridedCopyGradientName, PrepareGradient, EvalGradient);
}

}  // namespace medyate
