#ifndef TESTS_TFLM_OPS_KERNELS_CONVOLUTION_AXES_H_
#define TESTS_TFLM_OPS_KERNELS_CONVOLUTION_AXES_H_

// The height and width of convolutions, drawn into any op's options.

#include "tests/tflm_ops/kernels/call_builder.h"

namespace medyate {
namespace fake {

template <typename Options>
void DrawConvolutionAxis(Random* random, int i, Options* options) {
  options->input_size[i] = random->Int(1, 7);
  options->kernel_size[i] = random->Int(1, 4);
  options->stride[i] = random->Int(1, 3);
  options->dilation[i] = random->Int(1, 2);
  options->padding[i] = random->Int(0, (options->kernel_size[i] - 1) * options->dilation[i]);
  options->output_size[i] =
      random->Int(1, (options->input_size[i] - 1 + options->padding[i]) / options->stride[i] + 1);
}

}  // namespace fake
}  // namespace medyate

#endif  // TESTS_TFLM_OPS_KERNELS_CONVOLUTION_AXES_H_
