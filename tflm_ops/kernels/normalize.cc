// MEDYATE_NORMALIZE: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta; and
// MEDYATE_NORMALIZE_GRADIENT.

#include "tflm_ops/math/normalize.h"

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace {

constexpr int64_t kMaxElements = 0x7fffffff;

struct NormCall {
  math::NormShape shape;
  int elements;
  int channels;  // Of gamma and beta.
};

bool ReadNormalize(const OpCall& call, NormCall* norm) {
  NormalizeOptions options;
  if (!call.Read(&options)) return false;
  const int32_t sides[] = {options.rows, options.positions, options.groups, options.width};
  int64_t elements = 1;
  for (int32_t side : sides) {
    if (!call.RequireRange("sides", side, 1, kMaxElements)) return false;
    elements *= side;
    if (!call.RequireRange("elements", elements, 1, kMaxElements)) return false;
  }
  norm->shape = {options.rows,  options.positions,     options.groups,
                 options.width, options.centered != 0, options.epsilon};
  norm->elements = static_cast<int>(elements);
  norm->channels = options.groups * options.width;
  return call.RequireRange("centered", options.centered, 0, 1) &&
         call.RequireThat(options.epsilon >= 0.0f && math::IsFinite(options.epsilon),
                          "a finite epsilon, 0 or more");
}

bool RequireChannels(const OpCall& call, int index, const char* what, const NormCall& norm) {
  return !call.Input(index) ||
         call.RequireElements(call.Input(index), what, tflm::kFloat32, norm.channels);
}

enum Input { kX, kGamma, kBeta, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kNormalizeName, context, node);
  NormCall norm;
  MEDYATE_CHECK(ReadNormalize(call, &norm));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireElements(call.Input(kX), "input", tflm::kFloat32, norm.elements));
  MEDYATE_CHECK(RequireChannels(call, kGamma, "gamma", norm));
  MEDYATE_CHECK(RequireChannels(call, kBeta, "beta", norm));
  MEDYATE_CHECK(call.RequireElements(call.Output(0), "output", tflm::kFloat32, norm.elements));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kNormalizeName, context, node);
  NormCall norm;
  MEDYATE_CHECK(ReadNormalize(call, &norm));
  math::NormalizeForward(norm.shape, call.InputData<const float>(kX),
                         call.InputData<const float>(kGamma), call.InputData<const float>(kBeta),
                         call.OutputData<float>(0));
  return tflm::kOk;
}

enum GradientInput { kForwardX, kForwardGamma, kGradient, kCommand, kGradientInputs };

tflm::Status PrepareGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kNormalizeGradientName, context, node);
  NormCall norm;
  MEDYATE_CHECK(ReadNormalize(call, &norm));
  MEDYATE_CHECK(
      call.Require(call.inputs() == kGradientInputs, "inputs", kGradientInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(
      call.RequireElements(call.Input(kForwardX), "input", tflm::kFloat32, norm.elements));
  MEDYATE_CHECK(RequireChannels(call, kForwardGamma, "gamma", norm));
  MEDYATE_CHECK(call.RequireElements(call.Input(kGradient), "output_gradient", tflm::kFloat32,
                                     norm.elements));
  MEDYATE_CHECK(
      call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32, norm.elements));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status EvalGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kNormalizeGradientName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  NormCall norm;
  MEDYATE_CHECK(ReadNormalize(call, &norm));
  math::NormalizeBackward(norm.shape, call.InputData<const float>(kForwardX),
                          call.InputData<const float>(kForwardGamma),
                          call.InputData<const float>(kGradient), call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterNormalize() { return MakeRegistration(kNormalizeName, Prepare, Eval); }

tflm::Registration RegisterNormalizeGradient() {
  return MakeRegistration(kNormalizeGradientName, PrepareGradient, EvalGradient);
}

}  // namespace medyate
