#ifndef TFLM_OPS_MATH_STRIDED_COPY_H_
#define TFLM_OPS_MATH_STRIDED_COPY_H_

// Copies elements to other places: transposed, cropped, repeated, or one part of the channels.
// Forward, and backward right beside it.

namespace medyate {
namespace math {

constexpr int kCopySides = 5;

// Output element [i0][i1]...[i4] is input element offset + the sum of strides[n] * i_n.
struct CopyShape {
  int sides[kCopySides];    // Each at least 1.
  int strides[kCopySides];  // Each at least 0; 0 repeats an element.
  int offset;
  int input_elements;  // No index that the others give reaches it.
};

// y = those elements of x. Overwrites y.
void StridedCopyForward(const CopyShape& shape, const float* x, float* y);

// dx = the sum of dy over all copies of an element, 0 where there are none. Overwrites dx.
//
// Sums run in the order of y.
void StridedCopyBackward(const CopyShape& shape, const float* dy, float* dx);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_STRIDED_COPY_H_
