// Every pass of every kind of layer as regions, and of some the naive one of
// tflm_ops/math/*_reference.h. A line for each:
// side|layer|pass|multiply-accumulates or elements|instructions by SysTick.

#include <stdint.h>
#include <stdio.h>

#include "benchmarks/cortex_m/region.h"
#include "tflm_ops/math/activations.h"
#include "tflm_ops/math/adam.h"
#include "tflm_ops/math/broadcast.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/conv2d_reference.h"
#include "tflm_ops/math/dense.h"
#include "tflm_ops/math/dense_reference.h"
#include "tflm_ops/math/depthwise_conv2d.h"
#include "tflm_ops/math/depthwise_conv2d_reference.h"
#include "tflm_ops/math/elementwise.h"
#include "tflm_ops/math/pooling.h"
#include "tflm_ops/math/sgd.h"
#include "tflm_ops/math/smooth.h"

namespace medyate {
namespace math {
namespace {

const int kDrawn = 16;  // At most; layers with fewer channels draw them all.

// Shared by all layers; what is in it does not matter, NaN and denormals apart.
float input[23100], weights[9300], output[23100];
uint16_t channels[kDrawn];

int TapsOf(const Axis& a) {
  int count = 0;
  for (int out = 0; out < a.out; ++out) count += TapsOfOutput(a, out).count;
  return count;
}

int MostDrawn(int all) { return all < kDrawn ? all : kDrawn; }

template <typename Function>
void Measure(const char* side, const char* layer, const char* pass, int macs, Function f) {
  const uint32_t instructions = Region(f);
  printf("%s|%s|%s|%d|%lu\n", side, layer, pass, macs, static_cast<unsigned long>(instructions));
}

// The weights of a layer of which `n` channels are drawn, evenly.
Weights Drawn(int all, int n) {
  for (int k = 0; k < n; ++k) channels[k] = static_cast<uint16_t>(k * all / n);
  return {weights, weights, channels, n};
}

void Conv(const char* name, const ConvShape& s, bool with_naive) {
  const int n = MostDrawn(s.in_channels);
  const int drawn = TapsOf(s.h) * TapsOf(s.w) * s.out_channels * n;
  const int all = drawn / n * s.in_channels;
  const Weights live = Drawn(s.in_channels, n);
  const Weights w = Frozen(weights);
  Measure("ours", name, "forward", all, [&] { Conv2dForward(s, input, w, weights, output); });
  Measure("ours", name, "dX", all, [&] { Conv2dInputGradient(s, input, w, output); });
  Measure("ours", name, "dW", drawn,
          [&] { Conv2dWeightGradientSelected(s, input, n, input, output); });
  Measure("ours", name, "forward, drawn", all,
          [&] { Conv2dForward(s, input, live, weights, output); });
  Measure("ours", name, "dX, drawn", all, [&] { Conv2dInputGradient(s, input, live, output); });
  if (!with_naive) return;
  Measure("naive", name, "forward", all,
          [&] { reference::Conv2dForward(s, input, weights, weights, output); });
  Measure("naive", name, "dX", all,
          [&] { reference::Conv2dInputGradient(s, input, weights, output); });
  Measure("naive", name, "dW", drawn,
          [&] { reference::Conv2dWeightGradientSelected(s, input, n, input, output); });
}

void Depthwise(const char* name, const ConvShape& s, bool with_naive) {
  const int n = MostDrawn(s.in_channels);
  const int drawn = TapsOf(s.h) * TapsOf(s.w) * n;
  const int all = drawn / n * s.in_channels;
  const Weights live = Drawn(s.in_channels, n);
  const Weights w = Frozen(weights);
  Measure("ours", name, "forward", all,
          [&] { DepthwiseConv2dForward(s, input, w, weights, output); });
  Measure("ours", name, "dX", all, [&] { DepthwiseConv2dInputGradient(s, input, w, output); });
  Measure("ours", name, "dW", drawn,
          [&] { DepthwiseConv2dWeightGradientSelected(s, input, channels, n, input, output); });
  Measure("ours", name, "forward, drawn", all,
          [&] { DepthwiseConv2dForward(s, input, live, weights, output); });
  Measure("ours", name, "dX, drawn", all,
          [&] { DepthwiseConv2dInputGradient(s, input, live, output); });
  if (!with_naive) return;
  Measure("naive", name, "forward", all,
          [&] { reference::DepthwiseConv2dForward(s, input, weights, weights, output); });
  Measure("naive", name, "dX", all,
          [&] { reference::DepthwiseConv2dInputGradient(s, input, weights, output); });
  Measure("naive", name, "dW", drawn, [&] {
    reference::DepthwiseConv2dWeightGradientSelected(s, input, channels, n, input, output);
  });
}

void Dense(const char* name, int inputs, int units) {
  const int n = MostDrawn(inputs);
  const int all = inputs * units;
  const int drawn = n * units;
  const Weights live = Drawn(inputs, n);
  const Weights w = Frozen(weights);
  Measure("ours", name, "forward", all,
          [&] { DenseForward(inputs, units, input, w, weights, output); });
  Measure("ours", name, "dX", all, [&] { DenseInputGradient(inputs, units, input, w, output); });
  Measure("ours", name, "dW", drawn,
          [&] { DenseWeightGradientSelected(units, input, n, input, output); });
  Measure("ours", name, "forward, drawn", all,
          [&] { DenseForward(inputs, units, input, live, weights, output); });
  Measure("ours", name, "dX, drawn", all,
          [&] { DenseInputGradient(inputs, units, input, live, output); });
  Measure("naive", name, "forward", all,
          [&] { reference::DenseForward(inputs, units, input, weights, weights, output); });
  Measure("naive", name, "dX", all,
          [&] { reference::DenseInputGradient(inputs, units, input, weights, output); });
  Measure("naive", name, "dW", drawn,
          [&] { reference::DenseWeightGradientSelected(units, input, n, input, output); });
}

// What is done element by element.
void Elements() {
  static uint8_t gates[1024];
  const int n = 8000;
  const int pixels = 125;
  const int width = 64;
  const SgdOptions sgd = {0.01f, 0.0f, 0.0f, false, 1.0f};
  const char* const what = "elements";
  Measure("ours", what, "activation", n, [&] { ReluForward(input, n, output, gates); });
  Measure("ours", what, "gate", n, [&] { GateBackward(gates, input, n, 0.0f, output); });
  Measure("ours", what, "stash", pixels * kDrawn,
          [&] { StashChannels(input, pixels, width, channels, kDrawn, output); });
  Measure("ours", what, "bias", n, [&] { BiasGradient(input, pixels, width, output); });
  Measure("ours", what, "update", n, [&] { SgdStep(sgd, input, n, nullptr, output); });
  const int part = 5000;
  const AdamOptions adam = {0.001f, 0.0f, 0.1f, 0.001f, 1e-7f, 1.0f};
  float* const moments = output + part;
  Measure("ours", what, "adam", part,
          [&] { AdamStep(adam, input, part, moments, moments + part, output); });
  Measure("ours", what, "importance", n, [&] { output[0] = SumOfSquares(input, n); });
  Measure("ours", what, "pool", n, [&] { GlobalAveragePoolForward(input, pixels, width, output); });
  Measure("ours", what, "add", n, [&] { AddForward(input, input + n, n, output); });
  const BroadcastShape scaled = {{1, pixels, width}, {0, width, 1}, {0, 0, 1}};
  Measure("ours", what, "broadcast", n, [&] { MultiplyForward(scaled, input, weights, output); });
  Measure("ours", what, "exponential", n, [&] { SigmoidForward(input, n, output); });
}

Axis Same(int in, int kernel, int stride) { return SameAxis(in, kernel, stride, 1); }

void Layers() {
  Conv("pointwise 64 to 64, 25x5", {UnitAxis(25), UnitAxis(5), 64, 64}, true);
  Conv("pointwise 16 to 96, 12x12", {UnitAxis(12), UnitAxis(12), 16, 96}, false);
  Conv("pointwise 96 to 16, 12x12", {UnitAxis(12), UnitAxis(12), 96, 16}, false);
  Conv("pointwise 8 to 48, 12x12", {UnitAxis(12), UnitAxis(12), 8, 48}, false);
  Conv("3x3 16 to 16, 16x16", {Same(16, 3, 1), Same(16, 3, 1), 16, 16}, true);
  Conv("3x3 16 to 32, 16x16, stride 2", {Same(16, 3, 2), Same(16, 3, 2), 16, 32}, false);
  Conv("3x3 20 to 24, 8x8", {Same(8, 3, 1), Same(8, 3, 1), 20, 24}, false);
  Conv("5 (Conv1D) 32 to 28, 50", {UnitAxis(1), Same(50, 5, 1), 32, 28}, true);
  Conv("10x4 stem 1 to 64, 49x10, stride 2", {Same(49, 10, 2), Same(10, 4, 2), 1, 64}, true);
  Depthwise("depthwise 3x3 64, 25x5", {Same(25, 3, 1), Same(5, 3, 1), 64, 64}, true);
  Depthwise("depthwise 3x3 40, 24x24", {Same(24, 3, 1), Same(24, 3, 1), 40, 40}, false);
  Depthwise("depthwise 3x3 40, 24x24, stride 2", {Same(24, 3, 2), Same(24, 3, 2), 40, 40}, true);
  Depthwise("depthwise 5x5 16, 12x12", {Same(12, 5, 1), Same(12, 5, 1), 16, 16}, false);
  Depthwise("depthwise 3x3 64, 3x3", {Same(3, 3, 1), Same(3, 3, 1), 64, 64}, false);
  Dense("dense 128 to 64", 128, 64);
  Elements();
}

}  // namespace
}  // namespace math
}  // namespace medyate

int main() {
  medyate::StartSysTick();
  medyate::math::Layers();
  return 0;
}
