#include "tflm_ops/math/shape.h"

#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {

Taps TapsOfOutput(const Axis& a, int out) {
  const int start = out * a.stride - a.pad;
  int first = 0;
  if (start < 0) first = (a.dilation - 1 - start) / a.dilation;
  int end = a.kernel;
  if (start + (a.kernel - 1) * a.dilation >= a.in) {
    end = start >= a.in ? 0 : (a.in - 1 - start) / a.dilation + 1;
  }
  const int count = end > first ? end - first : 0;
  return {first, count, 1, start + first * a.dilation, a.dilation};
}

Taps TapsOfInput(const Axis& a, int in) {
  const int start = in + a.pad;
  // Every step-th tap from k on meets an output position, each `fall` before the last.
  int step = a.stride;
  int fall = a.dilation;
  int out = start / a.stride;
  int k = start - out * a.stride;
  if (a.dilation > 1) {
    for (step = 1; step * a.dilation % a.stride != 0;) ++step;
    fall = step * a.dilation / a.stride;
    for (k = 0; k < step && (start - k * a.dilation) % a.stride != 0;) ++k;
    if (k == step || start < k * a.dilation) return {0, 0, 1, 0, 0};
    out = (start - k * a.dilation) / a.stride;
  }
  Taps taps = {0, 0, 1, 0, 0};
  for (; k < a.kernel && out >= 0; k += step, out -= fall) {
    if (out >= a.out) continue;
    if (taps.count == 0) {
      taps.first = k;
      taps.at = out;
    } else if (taps.count == 1) {
      taps.step = step;
      taps.at_step = -fall;
    }
    ++taps.count;
  }
  return taps;
}

bool SameTaps(const Taps& a, const Taps& b) {
  return a.first == b.first && a.count == b.count && a.step == b.step;
}

Range OutputsOfTap(const Axis& a, int k) {
  const int start = k * a.dilation - a.pad;
  const int begin = start < 0 ? (a.stride - 1 - start) / a.stride : 0;
  int end = start < a.in ? (a.in - 1 - start) / a.stride + 1 : 0;
  if (end > a.out) end = a.out;
  return {begin, end > begin ? end : begin};
}

}  // namespace math
}  // namespace medyate
