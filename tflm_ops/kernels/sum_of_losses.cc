// MEDYATE_SUM_OF_LOSSES: of a model with several outputs, one loss each, one after the other.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/losses.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace {

enum Input { kNetOutputs, kTarget, kCommand, kSelection, kTable, kInputs };
enum Output { kLoss, kGradient, kOutputs };

// A row of the table: the loss of `n` outputs.
struct Part {
  int kind;
  int n;
  float weight;
  float smoothing;
  float delta;
};

Part ReadPart(const float* row) {
  return {static_cast<int>(row[kLossWordKind]), static_cast<int>(row[kLossWordOutputs]),
          row[kLossWordWeight], row[kLossWordSmoothing], row[kLossWordDelta]};
}

int Parts(const OpCall& call) { return Elements(*call.Input(kTable)) / kLossWords; }

// Before a row's numbers become integers.
bool RequireRow(const OpCall& call, const float* row) {
  const float kind = row[kLossWordKind];
  const float n = row[kLossWordOutputs];
  const float smoothing = row[kLossWordSmoothing];
  const float delta = row[kLossWordDelta];
  return call.RequireThat(kind >= 0.0f && kind < kLossKinds, "a kind of loss that there is") &&
         call.RequireThat(n >= 1.0f && n <= 65535.0f, "1 to 65535 outputs a loss") &&
         call.RequireThat(math::IsFinite(row[kLossWordWeight]) && row[kLossWordWeight] >= 0.0f,
                          "a finite weight of at least 0") &&
         call.RequireThat(smoothing >= 0.0f && smoothing <= 1.0f, "a smoothing of 0 to 1") &&
         call.RequireThat(math::IsFinite(delta) && delta > 0.0f, "a finite delta above 0");
}

// Rows of a loss each, for as many outputs together as there are.
bool RequireTable(const OpCall& call, int outputs) {
  const tflm::EvalTensor* table = call.Input(kTable);
  if (!call.RequireAtLeast(table, "table", tflm::kFloat32, kLossWords) ||
      !call.Require(Elements(*table) % kLossWords == 0, "whole rows of the table", 1, 0) ||
      !call.RequireThat(table->data != nullptr, "the table to be a constant")) {
    return false;
  }
  int64_t sum = 0;
  const float* row = static_cast<const float*>(table->data);
  for (int i = Parts(call); i > 0; --i, row += kLossWords) {
    if (!RequireRow(call, row)) return false;
    sum += ReadPart(row).n;
  }
  return call.RequireRange("outputs of all losses", sum, outputs, outputs);
}

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kSumOfLossesName, context, node);
  ElementsOptions options;
  MEDYATE_CHECK(call.Read(&options));
  MEDYATE_CHECK(call.Require(call.inputs() == kInputs, "inputs", kInputs, call.inputs()));
  MEDYATE_CHECK(call.Require(call.outputs() == kOutputs, "outputs", kOutputs, call.outputs()));
  MEDYATE_CHECK(call.RequireAtLeast(call.Input(kNetOutputs), "outputs", tflm::kFloat32, 1));
  const int n = Elements(*call.Input(kNetOutputs));
  const int one[] = {1};
  MEDYATE_CHECK(call.RequireElements(call.Input(kTarget), "target", tflm::kFloat32, n));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  MEDYATE_CHECK(RequireOptionalSelection(call, kSelection));
  MEDYATE_CHECK(RequireTable(call, n));
  MEDYATE_CHECK(call.RequireShape(call.Output(kLoss), "loss", tflm::kFloat32, one));
  MEDYATE_CHECK(call.RequireElements(call.Output(kGradient), "gradient", tflm::kFloat32, n));
  return tflm::kOk;
}

// The class of a one-hot row; -1 if it is none.
int ClassOf(const float* row, int n) {
  int found = -1;
  for (int i = 0; i < n; ++i) {
    if (row[i] == 0.0f) continue;
    if (row[i] != 1.0f || found >= 0) return -1;
    found = i;
  }
  return found;
}

bool AreShares(const float* target, int n) {
  for (int i = 0; i < n; ++i) {
    if (!(target[i] >= 0.0f && target[i] <= 1.0f)) return false;
  }
  return true;
}

bool CheckTarget(const OpCall& call, const Part& part, const float* target) {
  if (part.kind == kLossKindSoftmaxCrossEntropy) {
    return call.RequireThat(ClassOf(target, part.n) >= 0, "a target that is a one-hot row");
  }
  return part.kind != kLossKindSigmoidCrossEntropy ||
         call.RequireThat(AreShares(target, part.n), "targets from 0 to 1");
}

float Compute(const Part& part, const float* outputs, const float* target, float* gradient) {
  switch (part.kind) {
    case kLossKindSoftmaxCrossEntropy:
      return math::SoftmaxCrossEntropy(outputs, part.n, ClassOf(target, part.n), part.smoothing,
                                       gradient);
    case kLossKindSigmoidCrossEntropy:
      return math::SigmoidCrossEntropy(outputs, target, part.n, part.smoothing, gradient);
    case kLossKindMeanSquaredError:
      return math::MeanSquaredError(outputs, target, part.n, gradient);
    case kLossKindMeanAbsoluteError:
      return math::MeanAbsoluteError(outputs, target, part.n, gradient);
    default:
      return math::Huber(outputs, target, part.n, part.delta, gradient);
  }
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kSumOfLossesName, context, node);
  float* loss = call.OutputData<float>(kLoss);
  *loss = 0.0f;
  if (!ReadsLabel(call, kCommand)) return tflm::kOk;
  const float* outputs = call.InputData<const float>(kNetOutputs);
  const float* target = call.InputData<const float>(kTarget);
  float* gradient = call.OutputData<float>(kGradient);
  const float* row = call.InputData<const float>(kTable);
  for (int i = Parts(call); i > 0; --i, row += kLossWords) {
    const Part part = ReadPart(row);
    MEDYATE_CHECK(CheckTarget(call, part, target));
    *loss += part.weight * Compute(part, outputs, target, gradient);
    for (int j = 0; j < part.n; ++j) gradient[j] *= part.weight;
    outputs += part.n;
    target += part.n;
    gradient += part.n;
  }
  MEDYATE_CHECK(call.RequireThat(math::IsFinite(*loss), "a finite loss; nothing was updated"));
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  return CountSample(call, kCommand, kSelection) ? tflm::kOk : tflm::kError;
}

}  // namespace

tflm::Registration RegisterSumOfLosses() {
  return MakeRegistration(kSumOfLossesName, Prepare, Eval);
}

}  // namespace medyate
