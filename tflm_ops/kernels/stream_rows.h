#ifndef TFLM_OPS_KERNELS_STREAM_ROWS_H_
#define TFLM_OPS_KERNELS_STREAM_ROWS_H_

// A convolution and a depthwise one in one op: the map between the two exists only as far as one
// output row needs it.

#include <string.h>

#include "tflm_ops/kernels/conv_layer.h"
#include "tflm_ops/math/shape.h"

namespace medyate {

// The options of either of the two, as those of an op of its own.
template <typename Options>
Conv2dOptions ConvHalf(const Options& o, int32_t activation = kActivationNone,
                       float negative_slope = 0.0f) {
  return FrozenConvolution(o.version, o.input_channels, o.middle_channels, o.input_size,
                           o.middle_size, o.conv_kernel_size, o.conv_stride, o.conv_dilation,
                           o.conv_padding, activation, negative_slope);
}
template <typename Options>
Conv2dOptions DepthwiseHalf(const Options& o, int32_t activation = kActivationNone,
                            float negative_slope = 0.0f) {
  return FrozenConvolution(o.version, o.middle_channels, o.output_channels, o.middle_size,
                           o.output_size, o.depthwise_kernel_size, o.depthwise_stride,
                           o.depthwise_dilation, o.depthwise_padding, activation, negative_slope);
}

inline int RowElements(const math::ConvShape& shape) { return shape.w.in * shape.in_channels; }
inline int OutputRowElements(const math::ConvShape& shape) {
  return shape.w.out * shape.out_channels;
}

// Rows of its input that one output row can need.
inline int RowsNeeded(const math::Axis& axis) {
  const int extent = (axis.kernel - 1) * axis.dilation + 1;
  return extent < axis.in ? extent : axis.in;
}

// The shape of a single output row, which reads the input from row *first on.
inline math::ConvShape OneRow(const math::ConvShape& shape, int row, int* first) {
  const int begin = row * shape.h.stride - shape.h.pad;
  *first = begin > 0 ? begin : 0;
  math::ConvShape one = shape;
  one.h.in = shape.h.in - *first;
  one.h.pad = *first - begin;
  one.h.out = 1;
  return one;
}

// Runs an op over its output rows while its input is made, each row of that once.
//
// Args:
//   shape: of the op.
//   rows: [RowsNeeded][RowElements] of its input.
//   make_row: (row, T* to) makes a row of its input.
//   run: (shape, const T* rows, out) computes the output row of this number.
template <typename T, typename MakeRow, typename Run>
void StreamRows(const math::ConvShape& shape, T* rows, const MakeRow& make_row, const Run& run) {
  const int row_elements = RowElements(shape);
  int base = 0;  // The row of the input that rows begins with.
  int end = 0;   // The first that is not there yet.
  for (int out = 0; out < shape.h.out; ++out) {
    int first;
    math::ConvShape one = OneRow(shape, out, &first);
    const int reach =
        out * shape.h.stride - shape.h.pad + (shape.h.kernel - 1) * shape.h.dilation + 1;
    const int last = reach < shape.h.in ? reach : shape.h.in;
    if (first >= end) {
      base = end = first;
    } else if (first > base) {
      memmove(rows, rows + (first - base) * row_elements, sizeof(T) * (end - first) * row_elements);
      base = first;
    }
    for (; end < last; ++end) make_row(end, rows + (end - base) * row_elements);
    one.h.in = last - first;
    run(one, rows, out);
  }
}

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_STREAM_ROWS_H_
