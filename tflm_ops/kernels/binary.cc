#include "tflm_ops/kernels/binary.h"

#include "tflm_ops/kernels/layer.h"

namespace medyate {
namespace {

enum GradientInput { kGradient, kCommand, kA, kB, kGradientInputs };

constexpr int kSides = 3;
constexpr int64_t kMost = 0x7fffffff;

// Checks an operand's sides, those of the output or 1, and multiplies them.
bool ReadSides(const OpCall& call, const char* what, const int32_t (&size)[kSides],
               const int32_t (&sides)[kSides], int* elements) {
  *elements = 1;
  for (int i = 0; i < kSides; ++i) {
    const int expected = sides[i] == 1 ? 1 : size[i];
    if (!call.Require(sides[i] == expected, what, expected, sides[i])) return false;
    *elements *= sides[i];
  }
  return true;
}

// Elements of the output and of both operands.
bool ReadSizes(const OpCall& call, const BroadcastOptions& options, int* y, int* a, int* b) {
  int64_t elements = 1;
  for (int i = 0; i < kSides; ++i) {
    if (!call.RequireRange("size", options.size[i], 1, kMost)) return false;
    elements *= options.size[i];
    if (!call.RequireRange("elements", elements, 1, kMost)) return false;
  }
  *y = static_cast<int>(elements);
  return ReadSides(call, "a_size", options.size, options.a_size, a) &&
         ReadSides(call, "b_size", options.size, options.b_size, b);
}

// How far apart an operand's elements lie along each side: 0 where it is repeated.
void Strides(const int32_t (&sides)[kSides], int (&strides)[kSides]) {
  int stride = 1;
  for (int i = kSides - 1; i >= 0; --i) {
    strides[i] = sides[i] == 1 ? 0 : stride;
    stride *= sides[i];
  }
}

}  // namespace

bool RequireBinary(const OpCall& call) {
  BroadcastOptions options;
  int y, a, b;
  return call.Read(&options) && ReadSizes(call, options, &y, &a, &b) &&
         call.Require(call.inputs() == 2, "inputs", 2, call.inputs()) &&
         call.Require(call.outputs() == 1, "outputs", 1, call.outputs()) &&
         call.RequireElements(call.Input(0), "a", tflm::kFloat32, a) &&
         call.RequireElements(call.Input(1), "b", tflm::kFloat32, b) &&
         call.RequireElements(call.Output(0), "output", tflm::kFloat32, y);
}

bool RequireBinaryGradient(const OpCall& call, bool needs) {
  BroadcastOptions options;
  int y, a, b;
  const int inputs = kGradientInputs;
  if (!call.Read(&options) || !ReadSizes(call, options, &y, &a, &b) ||
      !call.RequireRange("operand", options.operand, 0, 1) ||
      !call.Require(call.inputs() == inputs, "inputs", inputs, call.inputs()) ||
      !call.Require(call.outputs() == 1, "outputs", 1, call.outputs())) {
    return false;
  }
  if (needs && !(call.RequireElements(call.Input(kA), "a", tflm::kFloat32, a) &&
                 call.RequireElements(call.Input(kB), "b", tflm::kFloat32, b))) {
    return false;
  }
  return call.RequireElements(call.Input(kGradient), "output_gradient", tflm::kFloat32, y) &&
         call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32,
                              options.operand == 1 ? b : a) &&
         RequireCommand(call, kCommand);
}

math::BroadcastShape ShapeOf(const BroadcastOptions& options) {
  math::BroadcastShape shape;
  for (int i = 0; i < kSides; ++i) shape.size[i] = options.size[i];
  Strides(options.a_size, shape.a);
  Strides(options.b_size, shape.b);
  return shape;
}

bool IsTrainingBinary(const OpCall& call) { return IsTraining(call, kCommand); }

}  // namespace medyate
