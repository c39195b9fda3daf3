// MEDYATE_CONV_2D_TRANSPOSE_ADAM: the gradients of MEDYATE_CONV_2D_TRANSPOSE_UPDATE, and a step of
// Adam.

#include "tflm_ops/kernels/conv2d_transpose_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

struct Layer : Conv2dTransposeLayer {
  static constexpr const char* kUpdateName = kConv2dTransposeAdamName;
};

}  // namespace

tflm::Registration RegisterConv2dTransposeAdam() { return RegisterUpdate<Layer, Adam>(); }

}  // namespace medyate
