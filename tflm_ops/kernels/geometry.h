#ifndef TFLM_OPS_KERNELS_GEOMETRY_H_
#define TFLM_OPS_KERNELS_GEOMETRY_H_

// Reads the options of poolings, concatenations and paddings, and checks them: whatever they say,
// no position that the math then computes lies outside its tensor, and no number of elements or
// bytes exceeds 2^31 - 1.

#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/math/elementwise.h"
#include "tflm_ops/math/pooling.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {

// A pooling, every window of which holds at least one input position.
struct PoolGeometry {
  math::PoolShape shape;
  int input_elements;
  int output_elements;
};

// `options` keep no choices: an average.
bool ReadAveragePool(const OpCall& call, const PoolOptions& options, PoolGeometry* geometry);

// `choice_bytes`: what the choices take, whether the options keep them or not; at least 1, so that
// windows of one position need no empty tensor.
bool ReadMaxPool(const OpCall& call, const PoolOptions& options, PoolGeometry* geometry,
                 int* choice_bytes);

// One input of a concatenation.
bool ReadConcatPart(const OpCall& call, const ConcatenationOptions& options,
                    math::ConcatPart* part);

// A padding.
struct PadGeometry {
  math::PadShape shape;
  int inner_elements;
  int padded_elements;
};

bool ReadPad(const OpCall& call, const PadOptions& options, PadGeometry* geometry);

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_GEOMETRY_H_
