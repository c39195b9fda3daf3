// MEDYATE_CONV_2D_TRANSPOSE: the gradient of a convolution's input, as a layer of its own; and
// MEDYATE_CONV_2D_TRANSPOSE_INPUT_GRADIENT, which is that convolution.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/elementwise.h"

namespace medyate {
namespace {

// The convolution of which the layer is the transpose.
struct Convolution {
  math::ConvShape shape;
  Slot slot;

  int large() const { return shape.h.in * shape.w.in * shape.in_channels; }
  int small() const { return shape.h.out * shape.w.out * shape.out_channels; }

  bool Read(const OpCall& call) {
    Conv2dOptions options;
    return call.Read(&options) &&
           call.Require(options.activation == kActivationNone, "activation", 0,
                        options.activation) &&
           call.Require(options.keeps_gates == 0, "keeps_gates", 0, options.keeps_gates) &&
           ReadConv2d(call, options, &shape, &slot);
  }
};

bool RequireTensors(const OpCall& call, const Convolution& conv, int inputs, int input_elements,
                    int output_elements) {
  const int sides[] = {conv.shape.in_channels, conv.shape.h.kernel, conv.shape.w.kernel,
                       conv.shape.out_channels};
  return call.Require(call.inputs() == inputs, "inputs", inputs, call.inputs()) &&
         call.Require(call.outputs() == 1, "outputs", 1, call.outputs()) &&
         call.RequireElements(call.Input(0), "input", tflm::kFloat32, input_elements) &&
         call.RequireShape(call.Input(1), "weights", tflm::kFloat32, sides) &&
         call.RequireElements(call.Output(0), "output", tflm::kFloat32, output_elements);
}

enum Input { kX, kWeights, kBias, kInputs };

tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConv2dTransposeName, context, node);
  Convolution conv;
  MEDYATE_CHECK(conv.Read(call));
  MEDYATE_CHECK(RequireTensors(call, conv, kInputs, conv.small(), conv.large()));
  MEDYATE_CHECK(!call.Input(kBias) || call.RequireElements(call.Input(kBias), "bias",
                                                           tflm::kFloat32, conv.shape.in_channels));
  return tflm::kOk;
}

tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConv2dTransposeName, context, node);
  Convolution conv;
  MEDYATE_CHECK(conv.Read(call));
  float* y = call.OutputData<float>(0);
  math::Conv2dInputGradient(conv.shape, call.InputData<const float>(kX),
                            math::Frozen(call.InputData<const float>(kWeights)), y);
  const float* bias = call.InputData<const float>(kBias);
  if (!bias) return tflm::kOk;
  const int channels = conv.shape.in_channels;
  for (int at = 0; at < conv.large(); at += channels) math::Accumulate(bias, channels, y + at);
  return tflm::kOk;
}

enum GradientInput { kGradient, kGradientWeights, kCommand, kGradientInputs };

tflm::Status PrepareGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConv2dTransposeInputGradientName, context, node);
  Convolution conv;
  MEDYATE_CHECK(conv.Read(call));
  MEDYATE_CHECK(RequireTensors(call, conv, kGradientInputs, conv.large(), conv.small()));
  MEDYATE_CHECK(RequireCommand(call, kCommand));
  return tflm::kOk;
}

tflm::Status EvalGradient(tflm::Context* context, tflm::Node* node) {
  const OpCall call(kConv2dTransposeInputGradientName, context, node);
  if (!IsTraining(call, kCommand)) return tflm::kOk;
  Convolution conv;
  MEDYATE_CHECK(conv.Read(call));
  math::Conv2dForward(conv.shape, call.InputData<const float>(kGradient),
                      math::Frozen(call.InputData<const float>(kGradientWeights)), nullptr,
                      call.OutputData<float>(0));
  return tflm::kOk;
}

}  // namespace

tflm::Registration RegisterConv2dTranspose() {
  return MakeRegistration(kConv2dTransposeName, Prepare, Eval);
}

tflm::Registration RegisterConv2dTransposeInputGradient() {
  return MakeRegistration(kConv2dTransposeInputGradientName, PrepareGradient, EvalGradient);
}

}  // namespace medyate
