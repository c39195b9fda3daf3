#ifndef TFLM_OPS_MATH_SCALAR_H_
#define TFLM_OPS_MATH_SCALAR_H_

// Functions of one number that give the same bits on every host and board: the C library's differ
// from one to the next in the last place.

namespace medyate {
namespace math {

// e to the power x, within 2 units in the last place (denormal results: within 1 denormal).
//
// Any x: 0 below -104, infinity above 88.73, NaN for NaN.
float Exp(float x);

// Natural logarithm of x, within 2 units in the last place.
//
// Any x: -infinity for 0, NaN below 0 and for NaN, infinity for infinity.
float Log(float x);

// Square root of x, correctly rounded. NaN below 0 and for NaN; infinity for infinity.
//
// In integer arithmetic, about 400 instructions: once a channel, not once a weight.
float Sqrt(float x);

// Whether x is neither infinite nor NaN.
bool IsFinite(float x);

// Whether all of n numbers are.
bool AreFinite(const float* x, int n);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_SCALAR_H_
