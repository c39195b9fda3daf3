#include "tflm_ops/kernels/unary.h"

#include "tflm_ops/math/scalar.h"

namespace medyate {

bool RequireUnary(const OpCall& call) {
  return call.Require(call.inputs() == 1, "inputs", 1, call.inputs()) &&
         call.Require(call.outputs() == 1, "outputs", 1, call.outputs()) &&
         call.RequireAtLeast(call.Input(0), "input", tflm::kFloat32, 1) &&
         call.RequireElements(call.Output(0), "output", tflm::kFloat32, Elements(*call.Input(0)));
}

bool RequireUnaryGradient(const OpCall& call) {
  const int inputs = kUnaryGradientInputs;
  if (!call.Require(call.inputs() == inputs, "inputs", inputs, call.inputs()) ||
      !call.Require(call.outputs() == 1, "outputs", 1, call.outputs()) ||
      !call.RequireAtLeast(call.Input(kKept), "input or output", tflm::kFloat32, 1)) {
    return false;
  }
  const int n = Elements(*call.Input(kKept));
  return call.RequireElements(call.Input(kUnaryGradient), "output_gradient", tflm::kFloat32, n) &&
         call.RequireElements(call.Output(0), "input_gradient", tflm::kFloat32, n) &&
         RequireCommand(call, kUnaryCommand);
}

bool RequireUnaryOptions(const OpCall& call, const ReluOptions& options, int) {
  return call.RequireThat(options.max_value > 0.0f, "max_value above 0") &&
         call.RequireThat(options.threshold >= 0.0f && math::IsFinite(options.threshold),
                          "a threshold of 0 or more") &&
         call.RequireThat(math::IsFinite(options.negative_slope), "a finite negative_slope");
}

bool RequireUnaryOptions(const OpCall& call, const EluOptions& options, int) {
  return call.RequireThat(options.alpha >= 0.0f && math::IsFinite(options.alpha),
                          "an alpha of 0 or more") &&
         call.RequireThat(options.scale > 0.0f && math::IsFinite(options.scale), "a scale above 0");
}

bool RequireUnaryOptions(const OpCall& call, const SoftmaxOptions& options, int n) {
  return call.RequireRange("size", options.size, 1, n) &&
         call.RequireRange("inner", options.inner, 1, n / options.size) &&
         call.RequireThat(n % (options.size * options.inner) == 0,
                          "a multiple of size * inner elements");
}

}  // namespace medyate
