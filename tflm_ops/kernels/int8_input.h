#ifndef TFLM_OPS_KERNELS_INT8_INPUT_H_
#define TFLM_OPS_KERNELS_INT8_INPUT_H_

// The first trained layer after an int8 front: it reads int8 values, of which some rows at a time
// become floats. Bit for bit what a dequantization and the layer of floats compute.

#include "tflm_ops/kernels/stream_rows.h"
#include "tflm_ops/kernels/weighted.h"
#include "tflm_ops/math/int8_elementwise.h"

namespace medyate {

// real = scale * (stored - zero).
struct Int8Meaning {
  float scale;
  int zero;
};

// Scale and zero point, a constant [2] of floats.
inline bool RequireMeaning(const OpCall& call, int input) {
  const int two[] = {2};
  return call.RequireShape(call.Input(input), "scale and zero point", tflm::kFloat32, two);
}

// Checks at run time what they are: a constant's values may be known only then.
inline bool ReadMeaning(const OpCall& call, int input, Int8Meaning* meaning) {
  const float* numbers = call.InputData<const float>(input);
  if (!call.RequireThat(numbers[1] >= -128.0f && numbers[1] <= 127.0f, "a zero point in 8 bits")) {
    return false;
  }
  *meaning = {numbers[0], static_cast<int>(numbers[1])};
  return true;
}

template <typename Layer>
tflm::Status PrepareInt8InputForward(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kForwardName, context, node);
  Layer layer;
  Fused fused;
  MEDYATE_CHECK(layer.Read(call) && ReadFused(call, layer.options, &fused));
  MEDYATE_CHECK(RequireLayer(call, layer, fused, tflm::kInt8));
  MEDYATE_CHECK(RequireMeaning(call, kTrainableInputs));
  return call.RequireElements(call.Output(call.outputs() - 1), "rows", tflm::kFloat32,
                              RowsNeeded(layer.shape.h) * RowElements(layer.shape))
             ? tflm::kOk
             : tflm::kError;
}

template <typename Layer>
tflm::Status EvalInt8InputForward(tflm::Context* context, tflm::Node* node) {
  const OpCall call(Layer::kForwardName, context, node);
  Layer layer;
  Fused fused;
  Int8Meaning meaning;
  MEDYATE_CHECK(layer.Read(call) && ReadFused(call, layer.options, &fused));
  MEDYATE_CHECK(ReadMeaning(call, kTrainableInputs, &meaning));
  math::Weights weights;
  MEDYATE_CHECK(ReadWeights(call, layer.slot, &weights));
  const float* const bias = BiasOf(call, layer.slot);
  const math::ConvShape whole = layer.shape;
  StreamRows(
      whole, call.OutputData<float>(call.outputs() - 1),
      [&](int row, float* to) {
        const int n = RowElements(whole);
        math::Dequantize(call.InputData<const int8_t>(kInput) + row * n, n, meaning.scale,
                         meaning.zero, to);
      },
      [&](const math::ConvShape& one, const float* rows, int out) {
        layer.shape = one;
        layer.Forward(rows, weights, bias,
                      call.OutputData<float>(0) + out * OutputRowElements(one));
      });
  Activate(call, fused, whole.h.out * OutputRowElements(whole));
  return tflm::kOk;
}

template <typename Layer>
tflm::Registration RegisterInt8InputForward() {
  return MakeRegistration(Layer::kForwardName, PrepareInt8InputForward<Layer>,
                          EvalInt8InputForward<Layer>);
}

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_INT8_INPUT_H_
