#ifndef TFLM_OPS_MATH_SMOOTH_H_
#define TFLM_OPS_MATH_SMOOTH_H_

// Activation functions that need an exponential, on n elements in float32: forward, and backward
// right beside it. The same bits on every host and board, as Exp and Log of scalar.h.
//
// Backward takes what forward gave (y) where that is enough, else what forward read (x). Output and
// input may be the same memory, going forward and going backward. All overwrite. Not-a-number
// stays not-a-number.

namespace medyate {
namespace math {

// y = 1 / (1 + exp(-x)); dx = dy y (1 - y).
void SigmoidForward(const float* x, int n, float* y);
void SigmoidBackward(const float* y, const float* dy, int n, float* dx);

// y = tanh x; dx = dy (1 - y^2).
void TanhForward(const float* x, int n, float* y);
void TanhBackward(const float* y, const float* dy, int n, float* dx);

// y = exp x; dx = dy y.
void ExponentialForward(const float* x, int n, float* y);
void ExponentialBackward(const float* y, const float* dy, int n, float* dx);

// y = log(1 + exp x); dx = dy (1 - exp(-y)).
void SoftplusForward(const float* x, int n, float* y);
void SoftplusBackward(const float* y, const float* dy, int n, float* dx);

// y = x / (1 + |x|); dx = dy (1 - |y|)^2.
void SoftsignForward(const float* x, int n, float* y);
void SoftsignBackward(const float* y, const float* dy, int n, float* dx);

// y = scale x where x > 0, scale alpha (exp x - 1) elsewhere: ELU with scale 1, and SELU.
//
// dx = scale dy where y > 0, (y + scale alpha) dy elsewhere; alpha is not negative.
void EluForward(float alpha, float scale, const float* x, int n, float* y);
void EluBackward(float alpha, float scale, const float* y, const float* dy, int n, float* dx);

// y = x sigmoid(x), also called swish; dx = dy s (1 + x (1 - s)) with s = sigmoid(x).
void SiluForward(const float* x, int n, float* y);
void SiluBackward(const float* x, const float* dy, int n, float* dx);

// y = x P(x) and dx = dy (P(x) + x p(x)), with P and p the normal distribution and its density.
void GeluForward(const float* x, int n, float* y);
void GeluBackward(const float* x, const float* dy, int n, float* dx);

// y = x / 2 (1 + tanh u) with u = sqrt(2 / pi) (x + 0.044715 x^3): the approximate form of it.
void GeluTanhForward(const float* x, int n, float* y);
void GeluTanhBackward(const float* x, const float* dy, int n, float* dx);

// y = softmax(x) over `size` elements that lie `inner` apart; n is a multiple of size * inner.
//
// dx = y (dy - sum(y dy)). A row with an infinite or undefined value gives NaNs.
void SoftmaxForward(int size, int inner, const float* x, int n, float* y);
void SoftmaxBackward(int size, int inner, const float* y, const float* dy, int n, float* dx);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_SMOOTH_H_
