// MEDYATE_ADAM_RATE: counts an update, and makes the rates of the ops that follow.

#include <string.h>

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/kernels/update.h"
#include "tflm_ops/math/adam.h"
#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace {

enum Input { kLearningRate, kCommand, kSelection, kConstants, kInputs };

bool IsRate(float rate) { return rate > 0.0f && rate <= 1.0f; }

bool RequireConstants(const OpCall& call) {
  const int words[] = {kAdamWords};
  if (!call.RequireShape(call.Input(kConstants), "optimizer", tflm::kFloat32, words)) return false;
  const float* optimizer = call.InputData<const float>(kConstants);
  return call.RequireThat(optimizer != nullptr, "the optimizer to be a constant") &&
         call.RequireThat(
             IsRate(optimizer[kAdamWordFirstRate]) && IsRate(optimizer[kAdamWordSecondRate]),
             "rates of the moments above 0 and at most 1");
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kAdamRateName, context, node);
  AdamRateOptions options;
  const int one[] = {1};
  const int rates[] = {kAdamRates};
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == 1, "outputs", 1, call.outputs()));
  MEDYATE_CHECK(call.RequireShape(call.Input(kLearningRate), "learning_rate", tflm::kFloat32, one));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  MEDYATE_CHECK(
      call.RequireAtLeast(call.Input(kSelection), "selection", tflm::kInt32, kStateWords));
  MEDYATE_CHECK(call.RequireRange("corrections_offset", options.corrections_offset, kStateWords,
                                  Elements(*call.Input(kSelection)) - kCorrectionWords));
  MEDYATE_CHECK(RequireConstants(call));
  MEDYATE_CHECK(call.RequireShape(call.Output(0), "rates", tflm::kFloat32, rates));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kAdamRateName, context, node);
  if (!IsUpdating(call, kCommand)) return tflm::kOk;
  AdamRateOptions options;
  MEDYATE_CHECK(call.Read(&options));
  int32_t* words = call.InputData<int32_t>(kSelection) + options.corrections_offset;
  const float* optimizer = call.InputData<const float>(kConstants);
  float corrections[kCorrectionWords];
  memcpy(corrections, words, sizeof(corrections));
  for (int i = 0; i < kCorrectionWords; ++i) {
    MEDYATE_CHECK(call.RequireThat(corrections[i] >= 0.0f && corrections[i] <= 1.0f,
                                   "corrections of 0 to 1"));
    corrections[i] = math::NextCorrection(corrections[i], optimizer[kAdamWordFirstRate + i]);
  }
  memcpy(words, corrections, sizeof(corrections));
  const float rate = *call.InputData<const float>(kLearningRate);
  float* rates = call.OutputData<float>(0);
  rates[kStepSizeRate] = math::AdamStepSize(rate, corrections[0], corrections[1]);
  rates[kDecayRate] = optimizer[kAdamWordWeightDecay] * rate;
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterAdamRate() { return MakeRegistration(kAdamRateName, Prepare, Eval); }

}  // namespace medyate
