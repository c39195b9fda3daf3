#include "tflm_ops/math/conv2d_transpose.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/test_util.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/conv2d_reference.h"

namespace medyate {
namespace math {
namespace {

const int kShapes = 300;

// [first][taps][second] -> [second][taps][first].
std::vector<float> Swapped(const std::vector<float>& w, int first, int taps, int second) {
  std::vector<float> swapped(w.size());
  for (int i = 0; i < first; ++i) {
    for (int k = 0; k < taps; ++k) {
      for (int o = 0; o < second; ++o) {
        swapped[(o * taps + k) * first + i] = w[(i * taps + k) * second + o];
      }
    }
  }
  return swapped;
}

// The convolution from output to input, now and then with more channels than a block holds.
struct Layer {
  explicit Layer(Random* random) : shape(random->DrawShape(9, 11)) {
    if (random->Int(0, 7) == 0) {
      shape = random->DrawShape(5, 5);
      shape.out_channels = random->Int(kBlockChannels - 1, 2 * kBlockChannels + 5);
    }
    inputs = shape.out_channels;
    outputs = shape.in_channels;
    taps = shape.h.kernel * shape.w.kernel;
    n = random->Drawn(inputs);
    x = random->Floats(OutputElements(shape));
    dy = random->Floats(InputElements(shape));
    w = random->Floats(inputs * taps * outputs);
    as_conv = Swapped(w, inputs, taps, outputs);
  }

  ConvShape shape;
  int inputs, outputs, taps, n;
  std::vector<float> x, dy, w, as_conv;
};

float ForwardOf(const Layer& layer, const float* bias, int oh, int ow, int o) {
  const ConvShape& s = layer.shape;
  float sum = bias ? bias[o] : 0.0f;
  for (int first = 0; first < layer.inputs; first += kBlockChannels) {
    const int last = std::min(first + kBlockChannels, layer.inputs);
    for (int kh = 0; kh < s.h.kernel; ++kh) {
      for (int kw = 0; kw < s.w.kernel; ++kw) {
        const int h = reference::OutputOf(s.h, oh, kh);
        const int w = reference::OutputOf(s.w, ow, kw);
        if (h < 0 || w < 0) continue;
        for (int i = first; i < last; ++i) {
          sum += layer.x[(h * s.w.out + w) * layer.inputs + i] *
                 layer.w[(i * layer.taps + kh * s.w.kernel + kw) * layer.outputs + o];
        }
      }
    }
  }
  return sum;
}

TEST(Conv2dTransposeTest, ForwardEqualsTheNaiveSum) {
  Random random(21);
  for (int round = 0; round < kShapes; ++round) {
    const Layer layer(&random);
    const ConvShape& s = layer.shape;
    SCOPED_TRACE(::testing::Message() << s << " N " << layer.n);
    const SplitWeights split(&random, layer.w, layer.inputs, layer.n);
    const auto bias = random.Floats(layer.outputs);
    const float* b = random.Int(0, 3) == 0 ? nullptr : bias.data();
    auto y = random.Floats(InputElements(s));
    std::vector<float> expected;
    for (int oh = 0; oh < s.h.in; ++oh) {
      for (int ow = 0; ow < s.w.in; ++ow) {
        for (int o = 0; o < layer.outputs; ++o) {
          expected.push_back(ForwardOf(layer, b, oh, ow, o));
        }
      }
    }
    Conv2dTransposeForward(s, layer.x.data(), split.weights(), b, y.data());
    ASSERT_TRUE(SameBits(expected, y));
  }
}

// Below, the sums are those of the convolution's other direction, in the same order.

TEST(Conv2dTransposeTest, InputGradientIsTheConvolution) {
  Random random(22);
  for (int round = 0; round < kShapes; ++round) {
    const Layer layer(&random);
    SCOPED_TRACE(::testing::Message() << layer.shape << " N " << layer.n);
    const SplitWeights split(&random, layer.w, layer.inputs, layer.n);
    auto dx = random.Floats(OutputElements(layer.shape));
    auto expected = dx;
    Conv2dTransposeInputGradient(layer.shape, layer.dy.data(), split.weights(), dx.data());
    reference::Conv2dForward(layer.shape, layer.dy.data(), layer.as_conv.data(), nullptr,
                             expected.data());
    ASSERT_TRUE(SameBits(expected, dx));
  }
}

TEST(Conv2dTransposeTest, SelectedWeightGradientIsASliceOfTheConvolutions) {
  Random random(23);
  for (int round = 0; round < kShapes; ++round) {
    const Layer layer(&random);
    const ConvShape& s = layer.shape;
    SCOPED_TRACE(::testing::Message() << s << " N " << layer.n);
    const auto channels = random.Channels(layer.inputs, layer.n);
    const auto all = random.Channels(layer.outputs, layer.outputs);
    std::vector<float> stash(layer.n * s.h.out * s.w.out), whole_stash(InputElements(s));
    StashChannels(layer.x.data(), s.h.out * s.w.out, layer.inputs, channels.data(), layer.n,
                  stash.data());
    StashChannels(layer.dy.data(), s.h.in * s.w.in, layer.outputs, all.data(), layer.outputs,
                  whole_stash.data());
    std::vector<float> whole(layer.w.size());
    reference::Conv2dWeightGradientSelected(s, whole_stash.data(), layer.outputs, layer.x.data(),
                                            whole.data());
    whole = Swapped(whole, layer.outputs, layer.taps, layer.inputs);
    const int run = layer.taps * layer.outputs;
    auto dw = random.Floats(layer.n * run);
    auto expected = dw;
    for (int k = 0; k < layer.n; ++k) {
      for (int i = 0; i < run; ++i) expected[k * run + i] += whole[channels[k] * run + i];
    }
    Conv2dTransposeWeightGradientSelected(s, stash.data(), layer.n, layer.dy.data(), dw.data());
    ASSERT_TRUE(SameBits(expected, dw));
  }
}

}  // namespace
}  // namespace math
}  // namespace medyate
