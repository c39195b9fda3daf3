// MEDYATE_DENSE_UPDATE: w -= rate * (stash * dy), bias -= rate * (dy).

#include "tflm_ops/kernels/dense_layer.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

tflm::Registration RegisterDenseUpdate() { return RegisterUpdate<DenseLayer>(); }

}  // namespace medyate
