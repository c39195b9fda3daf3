// MEDYATE_DENSE_INPUT_GRADIENT: dx = dy * w transposed.

#include "tflm_ops/kernels/dense_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterDenseInputGradient() { return RegisterInputGradient<DenseLayer>(); }

}  // namespace medyate
