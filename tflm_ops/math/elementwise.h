#ifndef TFLM_OPS_MATH_ELEMENTWISE_H_
#define TFLM_OPS_MATH_ELEMENTWISE_H_

// Ops that only add or move elements, in float32: forward, and backward right beside it.
// Reshape moves nothing: its output and its gradient are the same memory as their input.

namespace medyate {
namespace math {

// y = a + b. Overwrites y, which may be the same memory as a or b.
void AddForward(const float* a, const float* b, int n, float* y);

// da = dy and db = dy. Overwrites both; either may be the same memory as dy.
void AddBackward(const float* dy, int n, float* da, float* db);

// sum += term. Accumulates: for a tensor that several ops read, whose gradients add up.
void Accumulate(const float* term, int n, float* sum);

// One input of a concatenation. Its elements lie in `blocks` blocks (the product of the dimensions
// before the axis) of `block` elements (the product of its own from the axis on).
struct ConcatPart {
  int blocks;
  int block;
  int total;   // Elements of a block of the output: the parts' blocks together.
  int offset;  // Where this part's block begins in the output's.
};

// Copies one input to its place. Overwrites only that part of y.
void ConcatForward(const ConcatPart& part, const float* x, float* y);

// Copies one input's share out of dy. Overwrites dx.
void ConcatBackward(const ConcatPart& part, const float* dy, float* dx);

// Padding of x [height][width][channels] to
// y [top + height + bottom][left + width + right][channels].
struct PadShape {
  int height;
  int width;
  int channels;
  int top;
  int bottom;
  int left;
  int right;
};

// y = x, surrounded by `value`. Overwrites y.
void PadForward(const PadShape& shape, const float* x, float value, float* y);

// dx = the inner part of dy. Overwrites dx.
void PadBackward(const PadShape& shape, const float* dy, float* dx);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_ELEMENTWISE_H_
