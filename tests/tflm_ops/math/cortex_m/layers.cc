// On the emulated Cortex-M4F: the digest of tflm_ops/math must be the host's, and the layers must
// not need more instructions per multiply-accumulate than their limits. Instructions are counted by
// SysTick, which ticks once every 40 under qemu's -icount shift=0: the same count on every run.

#include <stdint.h>
#include <stdio.h>

#include "tests/tflm_ops/support/digest.h"

namespace medyate {
namespace math {
namespace {

const int kDrawn = 16;  // At most; layers with fewer channels draw them all.

// Shared by all layers; what is in it does not matter, NaN and denormals apart.
float input[26000], weights[5000], output[26000];
uint16_t channels[kDrawn];

// Counts the instructions of f.
template <typename Function>
double Instructions(Function f) {
  volatile uint32_t* const systick = reinterpret_cast<volatile uint32_t*>(0xE000E010);
  systick[1] = 0xFFFFFF;  // Reload value: 24 bits, counting down.
  systick[2] = 0;
  systick[0] = 5;
  for (volatile int wait = 0; wait < 100; wait = wait + 1) {
  }
  const uint32_t start = systick[2];
  f();
  return 40.0 * ((start - systick[2]) & 0xFFFFFF);
}

int TapsOf(const Axis& a) {
  int count = 0;
  for (int out = 0; out < a.out; ++out) count += TapsOfOutput(a, out).count;
  return count;
}

struct Limits {
  double forward;
  double input_gradient;
  double weight_gradient;
  double drawn;  // Forward, with kDrawn channels drawn.
};

int failures = 0;

double Checked(double instructions, double macs, double limit) {
  if (instructions / macs > limit) {
    printf("ABOVE %.2f: ", limit);
    ++failures;
  }
  return instructions / macs;
}

// The weights of a layer of which `n` channels are drawn, evenly.
Weights Drawn(int all, int n) {
  for (int k = 0; k < n; ++k) channels[k] = static_cast<uint16_t>(k * all / n);
  return {weights, weights, channels, n};
}

void Conv(const char* name, const ConvShape& s, const Limits& limits) {
  const int n = s.in_channels < kDrawn ? s.in_channels : kDrawn;
  const double channel_macs = 1.0 * TapsOf(s.h) * TapsOf(s.w) * s.out_channels;
  const double macs = channel_macs * s.in_channels;
  const Weights w = Drawn(s.in_channels, 0);
  const Weights live = Drawn(s.in_channels, n);
  const double y = Instructions([&] { Conv2dForward(s, input, w, weights, output); });
  const double dx = Instructions([&] { Conv2dInputGradient(s, input, live, output); });
  const double dw = Instructions([&] { Conv2dWeightGradientSelected(s, input, n, input, output); });
  const double drawn = Instructions([&] { Conv2dForward(s, input, live, weights, output); });
  printf("%-30s y %5.2f  dx %5.2f  dw %5.2f  y, drawn %5.2f\n", name,
         Checked(y, macs, limits.forward), Checked(dx, macs, limits.input_gradient),
         Checked(dw, channel_macs * n, limits.weight_gradient), Checked(drawn, macs, limits.drawn));
}

void Depthwise(const char* name, const ConvShape& s, const Limits& limits) {
  const int n = s.in_channels < kDrawn ? s.in_channels : kDrawn;
  const double channel_macs = 1.0 * TapsOf(s.h) * TapsOf(s.w);
  const double macs = channel_macs * s.in_channels;
  const Weights w = Drawn(s.in_channels, 0);
  const Weights live = Drawn(s.in_channels, n);
  const double y = Instructions([&] { DepthwiseConv2dForward(s, input, w, weights, output); });
  const double dx = Instructions([&] { DepthwiseConv2dInputGradient(s, input, live, output); });
  const double dw = Instructions(
      [&] { DepthwiseConv2dWeightGradientSelected(s, input, channels, n, input, output); });
  const double drawn =
      Instructions([&] { DepthwiseConv2dForward(s, input, live, weights, output); });
  printf("%-30s y %5.2f  dx %5.2f  dw %5.2f  y, drawn %5.2f\n", name,
         Checked(y, macs, limits.forward), Checked(dx, macs, limits.input_gradient),
         Checked(dw, channel_macs * n, limits.weight_gradient), Checked(drawn, macs, limits.drawn));
}

Axis Same(int in, int kernel, int stride) { return SameAxis(in, kernel, stride, 1); }

// The goals of DESIGN.md are pointwise 3.0, 3x3 4.0, depthwise 7.0. Limits are what was measured,
// rounded up, so that it cannot get worse unseen; those above a goal are for sums that are too
// short to pay for a tile (8 channels in), and for kernels and maps that have no code of their own.
void Layers() {
  const Limits pointwise = {3.0, 3.0, 3.0, 3.0};
  Conv("1x1 64 -> 64, 25x5", {UnitAxis(25), UnitAxis(5), 64, 64}, {2.8, 2.8, 2.8, 2.9});
  Conv("1x1 16 -> 96, 12x12", {UnitAxis(12), UnitAxis(12), 16, 96}, pointwise);
  Conv("1x1 96 -> 16, 12x12", {UnitAxis(12), UnitAxis(12), 96, 16}, pointwise);
  Conv("1x1 8 -> 48, 12x12", {UnitAxis(12), UnitAxis(12), 8, 48}, {3.4, 3.0, 3.0, 3.4});
  Conv("3x3 16 -> 16, 32x32", {Same(32, 3, 1), Same(32, 3, 1), 16, 16}, {3.0, 3.0, 2.9, 3.0});
  const Limits spatial = {3.4, 3.4, 3.4, 3.4};
  Conv("3x3 16 -> 32, 16x16, stride 2", {Same(16, 3, 2), Same(16, 3, 2), 16, 32}, spatial);
  Conv("3x3 20 -> 24, 8x8", {Same(8, 3, 1), Same(8, 3, 1), 20, 24}, spatial);
  Conv("5 32 -> 28, 50 (Conv1D)", {UnitAxis(1), Same(50, 5, 1), 32, 28}, {3.0, 3.0, 3.1, 3.1});
  Conv("10x4 1 -> 64, 49x10, stride 2", {Same(49, 10, 2), Same(10, 4, 2), 1, 64},
       {4.5, 4.1, 5.2, 4.5});
  const Limits depthwise = {5.3, 7.4, 5.5, 5.3};
  Depthwise("3x3 depthwise 64, 25x5", {Same(25, 3, 1), Same(5, 3, 1), 64, 64},
            {5.7, 5.8, 6.3, 5.7});
  Depthwise("3x3 depthwise 40, 24x24", {Same(24, 3, 1), Same(24, 3, 1), 40, 40},
            {5.0, 5.0, 5.0, 5.0});
  Depthwise("3x3 depthwise 40, 24x24, /2", {Same(24, 3, 2), Same(24, 3, 2), 40, 40}, depthwise);
  Depthwise("5x5 depthwise 16, 12x12", {Same(12, 5, 1), Same(12, 5, 1), 16, 16},
            {4.8, 4.8, 7.8, 4.8});
}

}  // namespace
}  // namespace math
}  // namespace medyate

int Int8Failures();    // int8.cc
int FrozenFailures();  // frozen.cc

int main() {
  using medyate::math::failures;
  static medyate::math::Digest digest;
  const uint32_t got = digest.Run();
  printf("digest %08lx, host %08lx\n", static_cast<unsigned long>(got),
         static_cast<unsigned long>(medyate::math::kDigest));
  if (got != medyate::math::kDigest) ++failures;
  failures += Int8Failures();
  failures += FrozenFailures();
  printf("instructions per multiply-accumulate\n");
  medyate::math::Layers();
  printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
