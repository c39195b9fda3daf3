// MEDYATE_DENSE_UPDATE: delta -= rate * (stash * dy), bias delta -= rate * (dy).

#include "tflm_ops/kernels/dense_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterDenseUpdate() { return RegisterUpdate<DenseLayer>(); }

}  // namespace medyate
