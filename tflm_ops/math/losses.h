#ifndef TFLM_OPS_MATH_LOSSES_H_
#define TFLM_OPS_MATH_LOSSES_H_

// Losses of one sample and their gradients, in float32. Not-a-number goes through to the loss: look
// at it with IsFinite before anything is updated.

namespace medyate {
namespace math {

// Softmax of the logits. Overwrites probabilities, which may be the same memory as logits.
//
// Args:
//   logits: [classes], any range.
//   probabilities: [classes], each in 0 .. 1.
void Softmax(const float* logits, int classes, float* probabilities);

// The losses below return the loss, at least 0, and overwrite the gradient with respect to what
// they read first. The gradient lies in memory of its own.

// Softmax cross-entropy -sum(y * log(softmax(logits))), in nats, where y is 1 for the label and 0
// for all others, and with label smoothing y * (1 - smoothing) + smoothing / classes.
//
// Args:
//   logits: [classes], any range.
//   label: the right class, 0 .. classes - 1 (the caller checks).
//   smoothing: 0 .. 1.
//   dlogits: [classes].
float SoftmaxCrossEntropy(const float* logits, int classes, int label, float smoothing,
                          float* dlogits);

// Mean over n of the cross-entropy of sigmoid(logits) and y, in nats; y is the target, with label
// smoothing y * (1 - smoothing) + smoothing / 2.
//
// Args:
//   logits: [n], any range.
//   targets: [n], 0 .. 1 (the caller checks).
//   smoothing: 0 .. 1.
//   dlogits: [n].
float SigmoidCrossEntropy(const float* logits, const float* targets, int n, float smoothing,
                          float* dlogits);

// Mean over n of (outputs - targets)^2.
float MeanSquaredError(const float* outputs, const float* targets, int n, float* doutputs);

// Mean over n of |outputs - targets|; where they are equal the gradient is 0.
float MeanAbsoluteError(const float* outputs, const float* targets, int n, float* doutputs);

// Mean over n of e^2 / 2 up to a size |e| of delta, above it of delta |e| - delta^2 / 2; e is
// outputs - targets.
//
// Args:
//   delta: above 0.
float Huber(const float* outputs, const float* targets, int n, float delta, float* doutputs);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_LOSSES_H_
