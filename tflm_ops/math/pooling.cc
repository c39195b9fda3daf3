#include "tflm_ops/math/pooling.h"

#include "tflm_ops/math/bits.h"
#include "tflm_ops/math/fast.h"

namespace medyate {
namespace math {
namespace {

void Clear(int n, float* x) {
  for (int i = 0; i < n; ++i) x[i] = 0.0f;
}

// Offset of the first channel of input position (ih, iw).
int InputAt(const PoolShape& s, int ih, int iw) { return (ih * s.w.in + iw) * s.channels; }

// The input positions of a window.
struct Window {
  int tap;  // The first one's kh * KW + kw.
  int rows;
  int columns;
  int channels;
  int next_row;  // Floats from behind a row's last position to the next row's first.
  int next_tap;  // Taps between them.
};

// The first of the largest values so far, and the tap it came from.
struct Largest {
  float value;
  uint32_t tap;

  MEDYATE_ALWAYS_INLINE void See(float next, uint32_t at) {
    // One comparison for most: a NaN passes the first, and the second stays with it.
    if (next <= value || value != value) return;
    value = next;
    tap = at;
  }
};

// The maximum of a window in one channel, and four at once: they share the loops.
//
// Args:
//   x: The channel at the window's first position.
MEDYATE_NO_INLINE void Maximum(const Window& w, const float* x, Largest* result) {
  uint32_t tap = static_cast<uint32_t>(w.tap);
  Largest m = {*x, tap};
  for (int a = w.rows; a > 0; --a, x += w.next_row, tap += static_cast<uint32_t>(w.next_tap)) {
    for (int b = w.columns; b > 0; --b, x += w.channels, ++tap) m.See(*x, tap);
  }
  *result = m;
}

MEDYATE_NO_INLINE void FourMaxima(const Window& w, const float* x, Largest* results) {
  uint32_t tap = static_cast<uint32_t>(w.tap);
  Largest m0 = {x[0], tap}, m1 = {x[1], tap}, m2 = {x[2], tap}, m3 = {x[3], tap};
  for (int a = w.rows; a > 0; --a, x += w.next_row, tap += static_cast<uint32_t>(w.next_tap)) {
    for (int b = w.columns; b > 0; --b, x += w.channels, ++tap) {
      m0.See(x[0], tap);
      m1.See(x[1], tap);
      m2.See(x[2], tap);
      m3.See(x[3], tap);
    }
  }
  results[0] = m0, results[1] = m1, results[2] = m2, results[3] = m3;
}

bool Holds(const Taps& taps, int tap) {
  return static_cast<unsigned>(tap - taps.first) < static_cast<unsigned>(taps.count);
}

// Hands the gradients of one output position to the inputs they were chosen from; false at a
// choice that is not inside the window.
//
// Args:
//   dx: Of the whole map.
//   corner: Offset of the window's tap 0, which may lie in the padding.
MEDYATE_NO_INLINE bool Scatter(const PoolShape& s, const Taps& th, const Taps& tw, int bits,
                               BitReader* choices, const float* dy, int corner, float* dx) {
  BitReader reader = *choices;
  const int kernel = s.w.kernel, channels = s.channels, row = s.w.in * channels;
  const bool whole = th.count == s.h.kernel && tw.count == kernel;
  for (int c = 0; c < channels; ++c) {
    int down = 0, across = static_cast<int>(reader.Get(bits));
    for (; across >= kernel; across -= kernel) ++down;  // Few times: quicker than a division.
    if (whole ? down >= th.count : !Holds(th, down) || !Holds(tw, across)) return false;
    dx[corner + c + down * row + across * channels] += dy[c];
  }
  *choices = reader;
  return true;
}

}  // namespace

int MaxPoolChoiceBits(const PoolShape& shape) {
  int bits = 0;
  while ((1 << bits) < shape.h.kernel * shape.w.kernel) ++bits;
  return bits;
}

int MaxPoolChoiceBytes(const PoolShape& shape) {
  return PackedBytes(shape.h.out * shape.w.out * shape.channels, MaxPoolChoiceBits(shape));
}

void MaxPoolForward(const PoolShape& s, const float* x, float* y, uint8_t* choices) {
  const int bits = MaxPoolChoiceBits(s);
  BitWriter writer(choices);
  for (int oh = 0; oh < s.h.out; ++oh) {
    const Taps th = TapsOfOutput(s.h, oh);
    for (int ow = 0; ow < s.w.out; ++ow) {
      const Taps tw = TapsOfOutput(s.w, ow);
      const Window window = {th.first * s.w.kernel + tw.first,
                             th.count,
                             tw.count,
                             s.channels,
                             (s.w.in - tw.count) * s.channels,
                             s.w.kernel - tw.count};
      const float* corner = x + InputAt(s, th.at, tw.at);
      for (int c = 0, many; c < s.channels; c += many, corner += many) {
        Largest largest[4];
        many = c + 4 <= s.channels ? 4 : 1;
        (many == 4 ? FourMaxima : Maximum)(window, corner, largest);
        for (int n = 0; n < many; ++n) {
          *y++ = largest[n].value;
          if (choices) writer.Put(largest[n].tap, bits);
        }
      }
    }
  }
  if (choices) writer.Finish();
}

bool MaxPoolBackward(const PoolShape& s, const uint8_t* choices, const float* dy, float* dx) {
  const int bits = MaxPoolChoiceBits(s);
  BitReader reader(choices);
  Clear(s.h.in * s.w.in * s.channels, dx);
  for (int oh = 0; oh < s.h.out; ++oh) {
    const Taps th = TapsOfOutput(s.h, oh);
    for (int ow = 0; ow < s.w.out; ++ow, dy += s.channels) {
      const Taps tw = TapsOfOutput(s.w, ow);
      const int corner = InputAt(s, oh * s.h.stride - s.h.pad, ow * s.w.stride - s.w.pad);
      if (!Scatter(s, th, tw, bits, &reader, dy, corner, dx)) return false;
    }
  }
  return true;
}

void AveragePoolForward(const PoolShape& s, const float* x, float* y) {
  for (int oh = 0; oh < s.h.out; ++oh) {
    const Taps th = TapsOfOutput(s.h, oh);
    for (int ow = 0; ow < s.w.out; ++ow) {
      const Taps tw = TapsOfOutput(s.w, ow);
      const float positions = static_cast<float>(th.count * tw.count);
      for (int c = 0; c < s.channels; ++c) {
        float sum = 0.0f;
        for (int a = 0; a < th.count; ++a) {
          const float* row = x + InputAt(s, th.at + a, tw.at) + c;
          for (int b = 0; b < tw.count; ++b, row += s.channels) sum += *row;
        }
        *y++ = sum / positions;
      }
    }
  }
}

void AveragePoolBackward(const PoolShape& s, const float* dy, float* dx) {
  Clear(s.h.in * s.w.in * s.channels, dx);
  for (int oh = 0; oh < s.h.out; ++oh) {
    const Taps th = TapsOfOutput(s.h, oh);
    for (int ow = 0; ow < s.w.out; ++ow) {
      const Taps tw = TapsOfOutput(s.w, ow);
      const float positions = static_cast<float>(th.count * tw.count);
      for (int c = 0; c < s.channels; ++c) {
        const float share = *dy++ / positions;
        for (int a = 0; a < th.count; ++a) {
          float* row = dx + InputAt(s, th.at + a, tw.at) + c;
          for (int b = 0; b < tw.count; ++b, row += s.channels) *row += share;
        }
      }
    }
  }
}

void GlobalAveragePoolForward(const float* x, int pixels, int channels, float* y) {
  const float count = static_cast<float>(pixels);
  for (int c = 0; c < channels; ++c) {
    float sum = 0.0f;
    for (int p = 0; p < pixels; ++p) sum += x[p * channels + c];
    y[c] = sum / count;
  }
}

void GlobalAveragePoolBackward(const float* dy, int pixels, int channels, float* dx) {
  const float count = static_cast<float>(pixels);
  for (int c = 0; c < channels; ++c) {
    const float share = dy[c] / count;
    for (int p = 0; p < pixels; ++p) dx[p * channels + c] = share;
  }
}

}  // namespace math
}  // namespace medyate
