#include "tflm_ops/math/broadcast.h"

#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

// Calls f(index in a, index in b, index in the output) for all elements of the output in order.
template <typename Function>
MEDYATE_ALWAYS_INLINE void ForEach(const BroadcastShape& s, Function f) {
  int y = 0;
  for (int i = 0; i < s.size[0]; ++i) {
    for (int j = 0; j < s.size[1]; ++j) {
      int a = i * s.a[0] + j * s.a[1];
      int b = i * s.b[0] + j * s.b[1];
      for (int k = 0; k < s.size[2]; ++k, a += s.a[2], b += s.b[2]) f(a, b, y++);
    }
  }
}

template <typename Function>
MEDYATE_ALWAYS_INLINE void Forward(const BroadcastShape& shape, const float* a, const float* b,
                                   float* y, Function f) {
  ForEach(shape, [=](int i, int j, int k) { y[k] = f(a[i], b[j]); });
}

// dx of the operand whose strides are `own`, from term(index in a, index in b, dy).
template <typename Function>
MEDYATE_ALWAYS_INLINE void Backward(const BroadcastShape& shape, bool of_b, const float* dy,
                                    float* dx, Function term) {
  const int* own = of_b ? shape.b : shape.a;
  bool repeated = false;
  int elements = 1;
  for (int side = 0; side < 3; ++side) {
    if (own[side] == 0 && shape.size[side] > 1) repeated = true;
    if (own[side] != 0) elements *= shape.size[side];
  }
  if (repeated) {
    for (int i = 0; i < elements; ++i) dx[i] = 0.0f;
  }
  ForEach(shape, [=](int i, int j, int k) {
    float* const at = dx + (of_b ? j : i);
    const float value = term(i, j, dy[k]);
    *at = repeated ? *at + value : value;
  });
}

}  // namespace

void BroadcastAddForward(const BroadcastShape& shape, const float* a, const float* b, float* y) {
  Forward(shape, a, b, y, [](float u, float v) { return u + v; });
}

void SubtractForward(const BroadcastShape& shape, const float* a, const float* b, float* y) {
  Forward(shape, a, b, y, [](float u, float v) { return u - v; });
}

void MultiplyForward(const BroadcastShape& shape, const float* a, const float* b, float* y) {
  Forward(shape, a, b, y, [](float u, float v) { return u * v; });
}

// Not-a-number in either operand is passed on.
void MaximumForward(const BroadcastShape& shape, const float* a, const float* b, float* y) {
  Forward(shape, a, b, y, [](float u, float v) { return u >= v || u != u ? u : v; });
}

void MinimumForward(const BroadcastShape& shape, const float* a, const float* b, float* y) {
  Forward(shape, a, b, y, [](float u, float v) { return u <= v || u != u ? u : v; });
}

void PReluForward(const BroadcastShape& shape, const float* a, const float* b, float* y) {
  Forward(shape, a, b, y, [](float u, float v) { return u > 0.0f ? u : u * v; });
}

void BroadcastAddBackward(const BroadcastShape& shape, bool of_b, const float*, const float*,
                          const float* dy, float* dx) {
  Backward(shape, of_b, dy, dx, [](int, int, float d) { return d; });
}

void SubtractBackward(const BroadcastShape& shape, bool of_b, const float*, const float*,
                      const float* dy, float* dx) {
  Backward(shape, of_b, dy, dx, [=](int, int, float d) { return of_b ? -d : d; });
}

void MultiplyBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                      const float* dy, float* dx) {
  Backward(shape, of_b, dy, dx, [=](int i, int j, float d) { return d * (of_b ? a[i] : b[j]); });
}

void MaximumBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                     const float* dy, float* dx) {
  Backward(shape, of_b, dy, dx,
           [=](int i, int j, float d) { return (a[i] >= b[j]) != of_b ? d : 0.0f; });
}

void MinimumBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                     const float* dy, float* dx) {
  Backward(shape, of_b, dy, dx,
           [=](int i, int j, float d) { return (a[i] <= b[j]) != of_b ? d : 0.0f; });
}

void PReluBackward(const BroadcastShape& shape, bool of_b, const float* a, const float* b,
                   const float* dy, float* dx) {
  Backward(shape, of_b, dy, dx, [=](int i, int j, float d) {
    return a[i] > 0.0f ? d : a[i] < 0.0f ? d * b[j] : 0.0f;
  });
}

}  // namespace math
}  // namespace medyate
