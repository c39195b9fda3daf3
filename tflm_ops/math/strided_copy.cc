#include "tflm_ops/math/strided_copy.h"

#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

// Calls row(index of its first input element) for each row of the output, in order.
template <typename Row>
MEDYATE_ALWAYS_INLINE void ForEachRow(const CopyShape& s, Row row) {
  for (int i = 0; i < s.sides[0]; ++i) {
    const int a = s.offset + i * s.strides[0];
    for (int j = 0; j < s.sides[1]; ++j) {
      const int b = a + j * s.strides[1];
      for (int k = 0; k < s.sides[2]; ++k) {
        const int c = b + k * s.strides[2];
        for (int l = 0; l < s.sides[3]; ++l) row(c + l * s.strides[3]);
      }
    }
  }
}

}  // namespace

void StridedCopyForward(const CopyShape& s, const float* x, float* y) {
  const int n = s.sides[4];
  const int step = s.strides[4];
  ForEachRow(s, [=, &y](int at) {
    for (int i = 0; i < n; ++i) *y++ = x[at + i * step];
  });
}

void StridedCopyBackward(const CopyShape& s, const float* dy, float* dx) {
  for (int i = 0; i < s.input_elements; ++i) dx[i] = 0.0f;
  const int n = s.sides[4];
  const int step = s.strides[4];
  ForEachRow(s, [=, &dy](int at) {
    for (int i = 0; i < n; ++i) dx[at + i * step] += *dy++;
  });
}

}  // namespace math
}  // namespace medyate
