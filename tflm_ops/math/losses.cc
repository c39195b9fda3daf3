#include "tflm_ops/math/losses.h"

#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace math {
namespace {

float Maximum(const float* x, int n) {
  float largest = x[0];
  for (int i = 1; i < n; ++i) {
    if (x[i] > largest) largest = x[i];
  }
  return largest;
}

// exponentials[i] = exp(logits[i] - shift). Returns their sum.
float SumOfExponentials(const float* logits, int classes, float shift, float* exponentials) {
  float sum = 0.0f;
  for (int i = 0; i < classes; ++i) {
    exponentials[i] = Exp(logits[i] - shift);
    sum += exponentials[i];
  }
  return sum;
}

}  // namespace

void Softmax(const float* logits, int classes, float* probabilities) {
  const float shift = Maximum(logits, classes);
  const float sum = SumOfExponentials(logits, classes, shift, probabilities);
  for (int i = 0; i < classes; ++i) probabilities[i] /= sum;
}

float SoftmaxCrossEntropyForward(const float* logits, int classes, int label,
                                 float* probabilities) {
  const float shift = Maximum(logits, classes);
  const float sum = SumOfExponentials(logits, classes, shift, probabilities);
  for (int i = 0; i < classes; ++i) probabilities[i] /= sum;
  return Log(sum) - (logits[label] - shift);
}

void SoftmaxCrossEntropyBackward(const float* probabilities, int classes, int label, float scale,
                                 float* dlogits) {
  for (int i = 0; i < classes; ++i) {
    dlogits[i] = scale * (probabilities[i] - (i == label ? 1.0f : 0.0f));
  }
}

float MeanSquaredErrorForward(const float* outputs, const float* targets, int n) {
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float error = outputs[i] - targets[i];
    sum += error * error;
  }
  return sum / static_cast<float>(n);
}

void MeanSquaredErrorBackward(const float* outputs, const float* targets, int n, float scale,
                              float* doutputs) {
  const float factor = scale * 2.0f / static_cast<float>(n);
  for (int i = 0; i < n; ++i) doutputs[i] = factor * (outputs[i] - targets[i]);
}

}  // namespace math
}  // namespace medyate
