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

// The maximum of channel c, and the tap kh * KW + kw it came from.
float MaximumOfWindow(const PoolShape& s, const float* x, const Taps& th, const Taps& tw, int c,
                      uint32_t* choice) {
  float largest = x[InputAt(s, th.at, tw.at) + c];
  *choice = static_cast<uint32_t>(th.first * s.w.kernel + tw.first);
  for (int a = 0; a < th.count; ++a) {
    for (int b = 0; b < tw.count; ++b) {
      const float value = x[InputAt(s, th.at + a, tw.at + b) + c];
      if (value > largest || (value != value && largest == largest)) {
        largest = value;
        *choice = static_cast<uint32_t>((th.first + a) * s.w.kernel + tw.first + b);
      }
    }
  }
  return largest;
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
      for (int c = 0; c < s.channels; ++c) {
        uint32_t choice;
        *y++ = MaximumOfWindow(s, x, th, tw, c, &choice);
        if (choices) writer.Put(choice, bits);
      }
    }
  }
  if (choices) writer.Finish();
}

void MaxPoolBackward(const PoolShape& s, const uint8_t* choices, const float* dy, float* dx) {
  const int bits = MaxPoolChoiceBits(s);
  BitReader reader(choices);
  Clear(s.h.in * s.w.in * s.channels, dx);
  for (int oh = 0; oh < s.h.out; ++oh) {
    for (int ow = 0; ow < s.w.out; ++ow) {
      for (int c = 0; c < s.channels; ++c) {
        const int choice = static_cast<int>(reader.Get(bits));
        const int ih = oh * s.h.stride - s.h.pad + choice / s.w.kernel;
        const int iw = ow * s.w.stride - s.w.pad + choice % s.w.kernel;
        dx[InputAt(s, ih, iw) + c] += *dy++;
      }
    }
  }
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
