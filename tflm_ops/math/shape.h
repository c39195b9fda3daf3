#ifndef TFLM_OPS_MATH_SHAPE_H_
#define TFLM_OPS_MATH_SHAPE_H_

namespace medyate {
namespace math {

// One spatial dimension of a convolution or a pooling: how `out` positions read `in` positions.
// Output position p reads input position p * stride - pad + k * dilation for tap k of the kernel;
// positions outside [0, in) read nothing.
struct Axis {
  int in;        // Input positions, at least 1.
  int out;       // Output positions, at least 1.
  int kernel;    // Taps, at least 1.
  int stride;    // At least 1.
  int dilation;  // At least 1.
  int pad;       // Positions of padding before the first input position, at least 0.
};

// The taps that one position uses: tap `first`, `first + step`, ... (`count` of them). The first
// meets position `at` on the other side, each next one a position `at_step` further.
struct Taps {
  int first;
  int count;
  int step;
  int at;
  int at_step;
};

// Geometry of a convolution: height, width and channels of one sample. A 1-D convolution
// is one whose height is {1, 1, 1, 1, 1, 0}; a sample is always a batch of one.
struct ConvShape {
  Axis h;
  Axis w;
  int in_channels;   // I.
  int out_channels;  // O; depthwise: I * multiplier.
};

// Output positions of TensorFlow's padding "SAME" (pad as needed, odd one after) or "VALID".
inline Axis SameAxis(int in, int kernel, int stride, int dilation) {
  const int out = (in + stride - 1) / stride;
  const int total = (out - 1) * stride + (kernel - 1) * dilation + 1 - in;
  return {in, out, kernel, stride, dilation, total > 0 ? total / 2 : 0};
}

// The kernel's extent, (kernel - 1) * dilation + 1, must not exceed `in`.
inline Axis ValidAxis(int in, int kernel, int stride, int dilation) {
  const int extent = (kernel - 1) * dilation + 1;
  return {in, (in - extent) / stride + 1, kernel, stride, dilation, 0};
}

// An axis of `size` positions where every output position reads just its own input position.
inline Axis UnitAxis(int size) { return {size, size, 1, 1, 1, 0}; }

// Whether every output position reads exactly its own input position, with a kernel of one tap.
inline bool IsUnit(const Axis& a) {
  return a.kernel == 1 && a.stride == 1 && a.pad == 0 && a.in == a.out;
}

// The taps with which output position `out` reads input positions; rising, step 1.
Taps TapsOfOutput(const Axis& a, int out);

// The taps with which input position `in` is read by output positions; rising taps meet falling
// output positions.
Taps TapsOfInput(const Axis& a, int in);

// Whether two positions use the same taps.
bool SameTaps(const Taps& a, const Taps& b);

// A range of positions, [begin, end).
struct Range {
  int begin;
  int end;
};

// The output positions for which tap `k` reads a valid input position.
Range OutputsOfTap(const Axis& a, int k);

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_SHAPE_H_
