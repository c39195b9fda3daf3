#include "tflm_ops/math/int8_weights.h"

#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/depthwise_conv2d.h"
#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

// Channels of a block: as many as it has room for, a multiple of 4 if there are more.
int RoomFor(const Int8Block& block, int weights_each, int channels) {
  const int room = block.size / weights_each;
  if (room >= channels) return channels;
  return room > 4 ? room & ~3 : room;
}

// n floats: scale[k] * q[k].
MEDYATE_ALWAYS_INLINE void Scale(const int8_t* q, const float* scale, int n, float* w) {
  for (; n >= 4; n -= 4) {
    w[0] = scale[0] * static_cast<float>(q[0]);
    w[1] = scale[1] * static_cast<float>(q[1]);
    w[2] = scale[2] * static_cast<float>(q[2]);
    w[3] = scale[3] * static_cast<float>(q[3]);
    q += 4;
    scale += 4;
    w += 4;
  }
  for (; n > 0; --n) *w++ = *scale++ * static_cast<float>(*q++);
}

// `rows` runs of n, those of q `step` apart, all with the same scales.
MEDYATE_NO_INLINE void ScaleRows(const int8_t* q, int step, const float* scale, int rows, int n,
                                 float* w) {
  for (; rows > 0; --rows) {
    Scale(q, scale, n, w);
    q += step;
    w += n;
  }
}

// The runs of n channels of a depthwise layer: each `taps` times its own `multiplier` scales.
MEDYATE_NO_INLINE void ScaleRuns(const int8_t* q, const float* scale, int n, int taps,
                                 int multiplier, float* w) {
  for (; n > 0; --n) {
    for (int m = 0; m < multiplier; ++m) {
      const float s = *scale++;
      for (int k = m; k < taps * multiplier; k += multiplier) w[k] = s * static_cast<float>(q[k]);
    }
    q += taps * multiplier;
    w += taps * multiplier;
  }
}

// n channels of a map, of which `map` is the first: their values at each position, side by side.
MEDYATE_NO_INLINE void CopyPlanes(const float* map, int positions, int channels, int n,
                                  float* planes) {
  for (; positions > 0; --positions) {
    for (int k = 0; k < n; ++k) planes[k] = map[k];
    map += channels;
    planes += n;
  }
}

}  // namespace

void Int8WeightsConv2dForward(const ConvShape& s, const float* x, const Int8Weights& w,
                              const float* bias, const Int8Block& block, float* y) {
  const int depth = WeightsOfOutput(s);
  const int room = RoomFor(block, depth, s.out_channels);
  for (int o = 0; o < s.out_channels; o += room) {
    const int n = s.out_channels - o < room ? s.out_channels - o : room;
    ScaleRows(w.q + o, s.out_channels, w.scale + o, depth, n, block.data);
    Conv2dForwardPart(s, n, x, Frozen(block.data), bias ? bias + o : nullptr, y + o);
  }
}

void Int8WeightsConv2dInputGradient(const ConvShape& s, const float* dy, const Int8Weights& w,
                                    const Int8Block& block, float* dx) {
  const int run = WeightsOfInput(s, s.out_channels);
  const int room = RoomFor(block, run, s.in_channels);
  const int taps = s.h.kernel * s.w.kernel;
  for (int i = 0; i < s.in_channels; i += room) {
    const int n = s.in_channels - i < room ? s.in_channels - i : room;
    ScaleRows(w.q + i * run, s.out_channels, w.scale, n * taps, s.out_channels, block.data);
    Conv2dInputGradientPart(s, n, dy, Frozen(block.data), dx + i);
  }
}

void Int8WeightsDepthwiseConv2dForward(const ConvShape& s, const float* x, const Int8Weights& w,
                                       const float* bias, const Int8Block& block, float* y) {
  const int multiplier = s.out_channels / s.in_channels;
  const int taps = s.h.kernel * s.w.kernel;
  const int plane = x == y ? s.h.in * s.w.in : 0;
  const int room = RoomFor(block, taps * multiplier + plane, s.in_channels);
  for (int i = 0; i < s.in_channels; i += room) {
    const int n = s.in_channels - i < room ? s.in_channels - i : room;
    const int o = i * multiplier;
    const float* const b = bias ? bias + o : nullptr;
    ScaleRuns(w.q + o * taps, w.scale + o, n, taps, multiplier, block.data);
    if (plane == 0) {
      DepthwiseConv2dForwardPart(s, n, x + i, Frozen(block.data), b, y + o);
      continue;
    }
    float* const planes = block.data + n * taps;
    CopyPlanes(x + i, plane, s.in_channels, n, planes);
    DepthwiseConv2dForwardPlanes(s, n, planes, Frozen(block.data), b, y + o);
  }
}

void Int8WeightsDepthwiseConv2dInputGradient(const ConvShape& s, const float* dy,
                                             const Int8Weights& w, const Int8Block& block,
                                             float* dx) {
  const int multiplier = s.out_channels / s.in_channels;
  const int taps = s.h.kernel * s.w.kernel;
  const int plane = dx == dy ? s.h.out * s.w.out : 0;
  const int room = RoomFor(block, taps * multiplier + plane, s.in_channels);
  for (int i = 0; i < s.in_channels; i += room) {
    const int n = s.in_channels - i < room ? s.in_channels - i : room;
    const int o = i * multiplier;
    ScaleRuns(w.q + o * taps, w.scale + o, n, taps, multiplier, block.data);
    if (plane == 0) {
      DepthwiseConv2dInputGradientPart(s, n, dy + o, Frozen(block.data), dx + i);
      continue;
    }
    float* const planes = block.data + n * taps;
    CopyPlanes(dy + o, plane, s.out_channels, n, planes);
    DepthwiseConv2dInputGradientPlanes(s, n, planes, Frozen(block.data), dx + i);
  }
}

}  // namespace math
}  // namespace medyate
