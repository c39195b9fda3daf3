// MEDYATE_QUANTIZE: float32 to int8. MEDYATE_DEQUANTIZE: back.

#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/int8_elementwise.h"

namespace medyate {
namespace {

constexpr float kLargestScale = 3.0e38f;

bool ReadQuantization(const OpCall& call, QuantizationOptions* options) {
  return call.Read(options) && call.RequireRange("zero", options->zero, -128, 127) &&
         call.RequireThat(options->scale > 0.0f && options->scale <= kLargestScale,
                          "a finite scale above 0");
}

tflm::Status Prepare(const OpCall& call, tflm::Type from, tflm::Type to) {
  QuantizationOptions options;
  MEDYATE_CHECK(ReadQuantization(call, &options));
  MEDYATE_CHECK(call.Require(call.inputs() == 1, "inputs", 1, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(0), "input", from, 1));
  const int n = Elements(*call.Input(0));
  return call.RequireElements(call.Output(0), "output", to, n) ? tflm::kOk : tflm::kError;
}

tflm::Status PrepareQuantize(tflm::Context* context, tflm::Node* node) {
  return Prepare(OpCall(kQuantizeName, context, node), tflm::kFloat32, tflm::kInt8);
}

tflm::Status PrepareDequantize(tflm::Context* context, tflm::Node* node) {
  return Prepare(OpCall(kDequantizeName, context, node), tflm::kInt8, tflm::kFloat32);
}

tflm::Status EvalQuantize(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kQuantizeName, context, node);
  QuantizationOptions options;
  MEDYATE_CHECK(ReadQuantization(call, &options));
  math::Quantize(call.InputData<const float>(0), Elements(*call.Input(0)), options.scale,
                 options.zero, call.OutputData<int8_t>(0));
  return tflm::kOk;
}

tflm::Status EvalDequantize(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kDequantizeName, context, node);
  QuantizationOptions options;
  MEDYATE_CHECK(ReadQuantization(call, &options));
  math::Dequantize(call.InputData<const int8_t>(0), Elements(*call.Input(0)), options.scale,
                   options.zero, call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterQuantize() {
  return MakeRegistration(kQuantizeName, PrepareQuantize, EvalQuantize);
}

tflm::Registration RegisterDequantize() {
  return MakeRegistration(kDequantizeName, PrepareDequantize, EvalDequantize);
}

}  // namespace medyate
