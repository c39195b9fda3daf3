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

float SoftmaxCrossEntropy(const float* logits, int classes, int label, float smoothing,
                          float* dlogits) {
  const float shift = Maximum(logits, classes);
  const float sum = SumOfExponentials(logits, classes, shift, dlogits);
  for (int i = 0; i < classes; ++i) dlogits[i] /= sum;
  float likely = logits[label] - shift;
  if (smoothing > 0.0f) {
    const float share = smoothing / static_cast<float>(classes);
    float all = 0.0f;
    for (int i = 0; i < classes; ++i) {
      all += logits[i] - shift;
      dlogits[i] -= share;
    }
    likely = likely * (1.0f - smoothing) + all * share;
  }
  dlogits[label] -= 1.0f - smoothing;
  return Log(sum) - likely;
}

float SigmoidCrossEntropy(const float* logits, const float* targets, int n, float smoothing,
                          float* dlogits) {
  const float count = static_cast<float>(n);
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float logit = logits[i];
    const float target = targets[i] * (1.0f - smoothing) + 0.5f * smoothing;
    const float power = Exp(logit < 0.0f ? logit : -logit);
    sum += ((logit > 0.0f ? logit : 0.0f) - logit * target) + Log(1.0f + power);
    dlogits[i] = ((logit < 0.0f ? power : 1.0f) / (1.0f + power) - target) / count;
  }
  return sum / count;
}

float MeanSquaredError(const float* outputs, const float* targets, int n, float* doutputs) {
  const float factor = 2.0f / static_cast<float>(n);
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float error = outputs[i] - targets[i];
    sum += error * error;
    doutputs[i] = factor * error;
  }
  return sum / static_cast<float>(n);
}

float MeanAbsoluteError(const float* outputs, const float* targets, int n, float* doutputs) {
  const float step = 1.0f / static_cast<float>(n);
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float error = outputs[i] - targets[i];
    sum += error < 0.0f ? -error : error;
    doutputs[i] = error == 0.0f ? 0.0f : (error < 0.0f ? -step : step);
  }
  return sum / static_cast<float>(n);
}

float Huber(const float* outputs, const float* targets, int n, float delta, float* doutputs) {
  const float count = static_cast<float>(n);
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float error = outputs[i] - targets[i];
    const float size = error < 0.0f ? -error : error;
    if (size > delta) {
      sum += delta * size - 0.5f * delta * delta;
      doutputs[i] = (error < 0.0f ? -delta : delta) / count;
    } else {
      sum += 0.5f * error * error;
      doutputs[i] = error / count;
    }
  }
  return sum / count;
}

}  // namespace math
}  // namespace medyate
