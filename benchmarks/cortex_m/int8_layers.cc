// The int8 layers in front of what is trained, as regions. A line for each:
// layer|multiply-accumulates or elements|instructions by SysTick.

#include <stdint.h>
#include <stdio.h>

#include "benchmarks/cortex_m/region.h"
#include "tflm_ops/math/int8_conv2d.h"
#include "tflm_ops/math/int8_depthwise_conv2d.h"
#include "tflm_ops/math/int8_elementwise.h"
#include "tflm_ops/math/int8_weights.h"

namespace medyate {
namespace math {
namespace {

const int kMost = 24000, kChannels = 128;
int8_t input[kMost], weights[16000], output[kMost];
float floats[8000];
int32_t bias[kChannels], multiplier[kChannels], shift[kChannels];
int32_t patches[1500];
float block[1536], float_output[14000], scales[kChannels];

const Requantization kTo = {bias, multiplier, shift, 3};

template <typename Function>
void Measure(const char* layer, int count, Function f) {
  const uint32_t instructions = Region(f);
  printf("%s|%d|%lu\n", layer, count, static_cast<unsigned long>(instructions));
}

int TapsOf(const Axis& a) {
  int count = 0;
  for (int out = 0; out < a.out; ++out) count += TapsOfOutput(a, out).count;
  return count;
}

void Conv(const char* name, const ConvShape& s) {
  Measure(name, TapsOf(s.h) * TapsOf(s.w) * s.in_channels * s.out_channels,
          [&] { Int8Conv2dForward(s, input, 5, weights, kTo, patches, output); });
}

void Depthwise(const char* name, const ConvShape& s) {
  Measure(name, TapsOf(s.h) * TapsOf(s.w) * s.out_channels,
          [&] { Int8DepthwiseConv2dForward(s, input, 5, weights, kTo, output); });
}

// Floats with int8 weights: forward and back.
void Int8WeightsConv(const char* name, const ConvShape& s, int block_size) {
  const int count = TapsOf(s.h) * TapsOf(s.w) * s.in_channels * s.out_channels;
  const Int8Weights w = {weights, scales};
  const Int8Block b = {block, block_size};
  char title[80];
  snprintf(title, sizeof(title), "float %s, int8 weights", name);
  Measure(title, count, [&] { Int8WeightsConv2dForward(s, floats, w, nullptr, b, float_output); });
  snprintf(title, sizeof(title), "the same, dX");
  Measure(title, count, [&] { Int8WeightsConv2dInputGradient(s, floats, w, b, float_output); });
}

void Int8WeightsDepthwise(const char* name, const ConvShape& s, int block_size) {
  const int count = TapsOf(s.h) * TapsOf(s.w) * s.out_channels;
  const Int8Weights w = {weights, scales};
  const Int8Block b = {block, block_size};
  char title[80];
  snprintf(title, sizeof(title), "float %s, int8 weights", name);
  Measure(title, count,
          [&] { Int8WeightsDepthwiseConv2dForward(s, floats, w, nullptr, b, float_output); });
  snprintf(title, sizeof(title), "the same, dX");
  Measure(title, count,
          [&] { Int8WeightsDepthwiseConv2dInputGradient(s, floats, w, b, float_output); });
}

Axis Same(int in, int kernel, int stride) { return SameAxis(in, kernel, stride, 1); }

void Layers() {
  Conv("pointwise 64 to 64, 25x5", {UnitAxis(25), UnitAxis(5), 64, 64});
  Conv("pointwise 16 to 96, 12x12", {UnitAxis(12), UnitAxis(12), 16, 96});
  Conv("pointwise 96 to 16, 12x12", {UnitAxis(12), UnitAxis(12), 96, 16});
  Conv("3x3 16 to 16, 16x16", {Same(16, 3, 1), Same(16, 3, 1), 16, 16});
  Conv("3x3 stem 3 to 16, 48x48, stride 2", {Same(48, 3, 2), Same(48, 3, 2), 3, 16});
  Depthwise("depthwise 3x3 64, 25x5", {Same(25, 3, 1), Same(5, 3, 1), 64, 64});
  Depthwise("depthwise 3x3 40, 24x24", {Same(24, 3, 1), Same(24, 3, 1), 40, 40});
  Depthwise("depthwise 3x3 40, 24x24, stride 2", {Same(24, 3, 2), Same(24, 3, 2), 40, 40});
  Depthwise("depthwise 5x5 16, 12x12", {Same(12, 5, 1), Same(12, 5, 1), 16, 16});
  const Int8Term term = {1, 1 << 30, 1}, sum = {2, 1 << 30, 18};
  Measure("add, per element", 8000,
          [&] { Int8AddForward(term, input, term, weights, 8000, sum, output); });
  const PoolShape pool = {ValidAxis(24, 2, 2, 1), ValidAxis(24, 2, 2, 1), 40};
  Measure("2x2 maximum, per output", 12 * 12 * 40,
          [&] { Int8MaxPoolForward(pool, input, output); });
  Int8WeightsConv("pointwise 16 to 96, 12x12", {UnitAxis(12), UnitAxis(12), 16, 96}, 1024);
  Int8WeightsConv("pointwise 96 to 24, 6x6", {UnitAxis(6), UnitAxis(6), 96, 24}, 960);
  Int8WeightsConv("pointwise 112 to 32, 3x3", {UnitAxis(3), UnitAxis(3), 112, 32}, 1024);
  Int8WeightsConv("3x3 16 to 16, 16x16", {Same(16, 3, 1), Same(16, 3, 1), 16, 16}, 576);
  Int8WeightsDepthwise("depthwise 3x3 64, 10x10", {Same(10, 3, 1), Same(10, 3, 1), 64, 64}, 576);
  Int8WeightsDepthwise("depthwise 3x3 96, 3x3", {Same(3, 3, 1), Same(3, 3, 1), 96, 96}, 864);
  Measure("quantize, per element", 8000, [&] { Quantize(floats, 8000, 0.02f, 3, output); });
  Measure("dequantize, per element", 8000, [&] { Dequantize(input, 8000, 0.02f, 3, floats); });
}

}  // namespace
}  // namespace math
}  // namespace medyate

int main() {
  using namespace medyate::math;  // NOLINT
  for (int i = 0; i < kMost; ++i) input[i] = static_cast<int8_t>(i * 37);
  for (int i = 0; i < 16000; ++i) weights[i] = static_cast<int8_t>(i * 53);
  for (int i = 0; i < 8000; ++i) floats[i] = 0.001f * static_cast<float>(i % 255 - 127);
  for (int i = 0; i < kChannels; ++i) {
    bias[i] = i;
    multiplier[i] = (1 << 30) + i;
    shift[i] = 9;
    scales[i] = 0.01f + 0.0001f * static_cast<float>(i);
  }
  medyate::StartSysTick();
  Layers();
  return 0;
}
