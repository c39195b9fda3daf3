#ifndef TFLM_OPS_KERNELS_OPS_H_
#define TFLM_OPS_KERNELS_OPS_H_

// The registrations of all ops. Their names, options and tensors, in order, are described in
// tf_medyate/exporter/ops/schema.py.

#include "tflm_ops/kernels/tflm_abi.h"

namespace medyate {

tflm::Registration RegisterActivation();
tflm::Registration RegisterAdd();
tflm::Registration RegisterAveragePool2d();
tflm::Registration RegisterAveragePool2dGradient();
tflm::Registration RegisterConcatenation();
tflm::Registration RegisterConcatenationGradient();
tflm::Registration RegisterControl();
tflm::Registration RegisterConv2d();
tflm::Registration RegisterConv2dInputGradient();
tflm::Registration RegisterConv2dUpdate();
tflm::Registration RegisterConvDepthwise();
tflm::Registration RegisterDense();
tflm::Registration RegisterDenseInputGradient();
tflm::Registration RegisterDenseUpdate();
tflm::Registration RegisterDepthwiseConv2d();
tflm::Registration RegisterDepthwiseConv2dInputGradient();
tflm::Registration RegisterDepthwiseConv2dUpdate();
tflm::Registration RegisterGateGradient();
tflm::Registration RegisterHardSwish();
tflm::Registration RegisterHardSwishGradient();
tflm::Registration RegisterMaxPool2d();
tflm::Registration RegisterMaxPool2dGradient();
tflm::Registration RegisterMeanSquaredError();
tflm::Registration RegisterPad();
tflm::Registration RegisterPadGradient();
tflm::Registration RegisterSoftmaxCrossEntropy();
tflm::Registration RegisterStash();

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_OPS_H_
