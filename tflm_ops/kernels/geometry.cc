#include "tflm_ops/kernels/geometry.h"

#include <stdint.h>

namespace medyate {
namespace {

constexpr int64_t kMaxElements = 0x7fffffff;

// Small enough that no product of a few of them leaves 64 bits.
constexpr int kMaxSize = 65535;

// What BitWriter packs into an entry.
constexpr int kMaxChoiceBits = 24;

bool ReadPoolAxis(const OpCall& call, const PoolOptions& options, int i, math::Axis* axis) {
  if (!call.RequireRange("input_size", options.input_size[i], 1, kMaxSize) ||
      !call.RequireRange("output_size", options.output_size[i], 1, kMaxSize) ||
      !call.RequireRange("window", options.window[i], 1, kMaxSize) ||
      !call.RequireRange("stride", options.stride[i], 1, kMaxSize)) {
    return false;
  }
  *axis = {options.input_size[i], options.output_size[i], options.window[i], options.stride[i], 1,
           options.padding[i]};
  // So that every window begins before the input's end and ends after its beginning.
  return call.RequireRange("padding", axis->pad, 0, axis->kernel - 1) &&
         call.RequireRange("begin of the last window",
                           int64_t{axis->out - 1} * axis->stride - axis->pad, -kMaxSize,
                           axis->in - 1);
}

bool ReadPool(const OpCall& call, const PoolOptions& options, PoolGeometry* geometry) {
  math::PoolShape& shape = geometry->shape;
  if (!ReadPoolAxis(call, options, 0, &shape.h) || !ReadPoolAxis(call, options, 1, &shape.w) ||
      !call.RequireRange("channels", options.channels, 1, kMaxChannels)) {
    return false;
  }
  shape.channels = options.channels;
  const int64_t inputs = int64_t{shape.h.in} * shape.w.in * shape.channels;
  const int64_t outputs = int64_t{shape.h.out} * shape.w.out * shape.channels;
  geometry->input_elements = static_cast<int>(inputs);
  geometry->output_elements = static_cast<int>(outputs);
  return call.RequireRange("elements of the input", inputs, 1, kMaxElements) &&
         call.RequireRange("elements of the output", outputs, 1, kMaxElements);
}

}  // namespace

bool ReadAveragePool(const OpCall& call, const PoolOptions& options, PoolGeometry* geometry) {
  return call.Require(options.keeps_choices == 0, "keeps_choices", 0, options.keeps_choices) &&
         ReadPool(call, options, geometry);
}

bool ReadMaxPool(const OpCall& call, const PoolOptions& options, PoolGeometry* geometry,
                 int* choice_bytes) {
  if (!call.RequireRange("keeps_choices", options.keeps_choices, 0, 1) ||
      !ReadPool(call, options, geometry) ||
      !call.RequireRange("positions of the window", int64_t{options.window[0]} * options.window[1],
                         1, 1 << kMaxChoiceBits)) {
    return false;
  }
  const int64_t bits =
      int64_t{geometry->output_elements} * math::MaxPoolChoiceBits(geometry->shape);
  const int64_t bytes = bits == 0 ? 1 : (bits + 7) / 8;
  *choice_bytes = static_cast<int>(bytes);
  return call.RequireRange("bytes of the choices", bytes, 1, kMaxElements);
}

bool ReadConcatPart(const OpCall& call, const ConcatenationOptions& options,
                    math::ConcatPart* part) {
  *part = {options.blocks, options.block, options.total, options.offset};
  return call.RequireRange("blocks", part->blocks, 1, kMaxElements) &&
         call.RequireRange("total", part->total, 1, kMaxElements) &&
         call.RequireRange("block", part->block, 1, part->total) &&
         call.RequireRange("offset", part->offset, 0, part->total - part->block) &&
         call.RequireRange("elements of the output", int64_t{part->blocks} * part->total, 1,
                           kMaxElements);
}

bool ReadPad(const OpCall& call, const PadOptions& options, PadGeometry* geometry) {
  for (int i = 0; i < 2; ++i) {
    if (!call.RequireRange("input_size", options.input_size[i], 1, kMaxSize) ||
        !call.RequireRange("before", options.before[i], 0, kMaxSize) ||
        !call.RequireRange("after", options.after[i], 0, kMaxSize)) {
      return false;
    }
  }
  if (!call.RequireRange("channels", options.channels, 1, kMaxChannels)) return false;
  math::PadShape& shape = geometry->shape;
  shape = {options.input_size[0], options.input_size[1], options.channels, options.before[0],
           options.after[0],      options.before[1],     options.after[1]};
  const int64_t height = int64_t{shape.top} + shape.height + shape.bottom;
  const int64_t width = int64_t{shape.left} + shape.width + shape.right;
  const int64_t padded = height * width * shape.channels;
  geometry->padded_elements = static_cast<int>(padded);
  // Fits if the padded elements do, since they are no fewer.
  geometry->inner_elements = static_cast<int>(int64_t{shape.height} * shape.width * shape.channels);
  return call.RequireRange("elements of the output", padded, 1, kMaxElements);
}

}  // namespace medyate
