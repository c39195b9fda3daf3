#include "tflm_ops/math/elementwise.h"

#include <stddef.h>
#include <string.h>

#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

// The memory may be the same.
void Copy(const float* from, int n, float* to) {
  memmove(to, from, static_cast<size_t>(n) * sizeof(float));
}

void Fill(float value, int n, float* to) {
  for (int i = 0; i < n; ++i) to[i] = value;
}

}  // namespace

void AddForward(const float* a, const float* b, int n, float* y) {
  for (int i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

void AddBackward(const float* dy, int n, float* da, float* db) {
  Copy(dy, n, da);
  Copy(dy, n, db);
}

void Accumulate(const float* term, int n, float* sum) {
  for (int i = 0; i < n; ++i) sum[i] += term[i];
}

void ConcatForward(const ConcatPart& part, const float* x, float* y) {
  for (int b = 0; b < part.blocks; ++b) {
    Copy(x + b * part.block, part.block, y + b * part.total + part.offset);
  }
}

void ConcatBackward(const ConcatPart& part, const float* dy, float* dx) {
  for (int b = 0; b < part.blocks; ++b) {
    Copy(dy + b * part.total + part.offset, part.block, dx + b * part.block);
  }
}

void PadForward(const PadShape& s, const float* x, float value, float* y) {
  const int inner = s.width * s.channels;
  const int left = s.left * s.channels;
  const int right = s.right * s.channels;
  const int row = left + inner + right;
  Fill(value, s.top * row, y);
  y += s.top * row;
  for (int h = 0; h < s.height; ++h, y += row) {
    Fill(value, left, y);
    Copy(x + h * inner, inner, y + left);
    Fill(value, right, y + left + inner);
  }
  Fill(value, s.bottom * row, y);
}

void PadBackward(const PadShape& s, const float* dy, float* dx) {
  const int inner = s.width * s.channels;
  const int row = (s.left + s.width + s.right) * s.channels;
  for (int h = 0; h < s.height; ++h) {
    Copy(dy + (s.top + h) * row + s.left * s.channels, inner, dx + h * inner);
  }
}

}  // namespace math
}  // namespace medyate
