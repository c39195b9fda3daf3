// MEDYATE_DENSE: y = activation(bias + x * w).

#include "tflm_ops/kernels/dense_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterDense() { return RegisterForward<DenseLayer>(); }

}  // namespace medyate
