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

// Softmax cross-entropy -log(softmax(logits)[label]), and the softmax itself.
//
// Args:
//   logits: [classes], any range; read only.
//   label: the right class, 0 .. classes - 1 (the caller checks).
//   probabilities: [classes], overwritten; not the same memory as logits.
//
// Returns:
//   The loss, at least 0, in nats.
float SoftmaxCrossEntropyForward(const float* logits, int classes, int label, float* probabilities);

// dlogits = scale * (probabilities - one_hot(label)). Overwrites dlogits, which may be the same
// memory as probabilities.
//
// Args:
//   scale: what the loss is multiplied by, usually 1.
void SoftmaxCrossEntropyBackward(const float* probabilities, int classes, int label, float scale,
                                 float* dlogits);

// Mean over n of (outputs - targets)^2.
float MeanSquaredErrorForward(const float* outputs, const float* targets, int n);

// doutputs = scale * 2 / n * (outputs - targets). Overwrites doutputs, which may be the same
// memory as outputs.
void MeanSquaredErrorBackward(const float* outputs, const float* targets, int n, float scale,
                              float* doutputs);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_LOSSES_H_
