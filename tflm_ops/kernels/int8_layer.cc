#include "tflm_ops/kernels/int8_layer.h"

#include "tflm_ops/kernels/conv_layer.h"
#include "tflm_ops/kernels/layer.h"

namespace medyate {
namespace {

constexpr int64_t kSumLimit = int64_t{1} << 30;

}  // namespace

bool ReadInt8Layer(const OpCall& call, const Conv2dOptions& conv, int input_zero, int output_zero,
                   bool is_depthwise, Int8Layer* layer) {
  layer->input_zero = input_zero;
  layer->output_zero = output_zero;
  Slot slot;
  return call.RequireRange("input_zero", input_zero, -128, 127) &&
         call.RequireRange("output_zero", output_zero, -128, 127) &&
         (is_depthwise ? ReadDepthwiseConv2d(call, conv, &layer->shape, &slot)
                       : ReadConv2d(call, conv, &layer->shape, &slot));
}

bool ReadInt8Layer(const OpCall& call, bool is_depthwise, Int8Layer* layer) {
  Int8Conv2dOptions o;
  return call.Read(&o) &&
         ReadInt8Layer(
             call,
             FrozenConvolution(o.version, o.input_channels, o.output_channels, o.input_size,
                               o.output_size, o.kernel_size, o.stride, o.dilation, o.padding),
             o.input_zero, o.output_zero, is_depthwise, layer);
}

bool RequireInt8Layer(const OpCall& call, const Int8Layer& layer, int64_t products) {
  const math::ConvShape& s = layer.shape;
  return call.Require(call.inputs() == kInt8LayerInputs, "inputs", kInt8LayerInputs,
                      call.inputs()) &&
         call.RequireElements(call.Input(kInt8Input), "input", tflm::kInt8,
                              s.h.in * s.w.in * s.in_channels) &&
         call.RequireElements(call.Output(0), "output", tflm::kInt8,
                              s.h.out * s.w.out * s.out_channels) &&
         RequireRequantization(call, kInt8Requantization, layer, products);
}

bool RequireRequantization(const OpCall& call, int input, const Int8Layer& layer,
                           int64_t products) {
  const int channels = layer.shape.out_channels;
  const int table[] = {3, channels};
  if (!call.RequireShape(call.Input(input), "requantization", tflm::kInt32, table)) return false;
  const math::Requantization to = RequantizationOf(call, input, layer);
  const int64_t room = kSumLimit - 1 - math::SumLimit(products);
  if (!call.RequireRange("weights of an output channel", products, 1, kSumLimit / (255 * 128)) ||
      !call.RequireThat(to.bias, "requantization to be a constant")) {
    return false;
  }
  // Every channel's bias, multiplier and shift.
  for (int o = 0; o < channels; ++o) {
    if (!call.RequireRange("bias", to.bias[o], -room, room) ||
        !call.RequireRange("multiplier", to.multiplier[o], 0, 0x7fffffff) ||
        !call.RequireRange("shift", to.shift[o], 1, math::kHighestShift)) {
      return false;
    }
  }
  return true;
}

math::Requantization RequantizationOf(const OpCall& call, int input, const Int8Layer& layer) {
  const int32_t* table = call.InputData<const int32_t>(input);
  if (!table) return {nullptr, nullptr, nullptr, layer.output_zero};
  const int n = layer.shape.out_channels;
  return {table, table + n, table + 2 * n, layer.output_zero};
}

}  // namespace medyate
