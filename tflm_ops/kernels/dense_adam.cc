// MEDYATE_DENSE_ADAM: the gradients of MEDYATE_DENSE_UPDATE, and a step of Adam.

#include "tflm_ops/kernels/dense_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {
namespace {

struct Layer : DenseLayer {
  static constexpr const char* kUpdateName = kDenseAdamName;
};

}  // namespace

tflm::Registration RegisterDenseAdam() { return RegisterUpdate<Layer, Adam>(); }

}  // namespace medyate
