#ifndef TFLM_OPS_KERNELS_DENSE_LAYER_H_
#define TFLM_OPS_KERNELS_DENSE_LAYER_H_

#include "tflm_ops/kernels/weighted.h"
#include "tflm_ops/math/dense.h"

namespace medyate {

struct DenseLayer {
  static constexpr const char* kForwardName = kDenseName;
  static constexpr const char* kInputGradientName = kDenseInputGradientName;
  static constexpr const char* kUpdateName = kDenseUpdateName;
  static constexpr int kWeightRank = 2;

  bool Read(const OpCall& call) { return call.Read(&options) && ReadDense(call, options, &slot); }
  int pixels() const { return 1; }
  int input_elements() const { return options.inputs; }
  int output_elements() const { return options.units; }
  void GetWeightShape(int* sides) const {
    sides[0] = options.inputs;
    sides[1] = options.units;
  }

  void Forward(const float* x, const math::Weights& w, const float* bias, float* y) const {
    math::DenseForward(options.inputs, options.units, x, w, bias, y);
  }
  void InputGradient(const float* dy, const math::Weights& w, float* dx) const {
    math::DenseInputGradient(options.inputs, options.units, dy, w, dx);
  }
  void WeightGradient(const float* stash, const uint16_t*, int n, const float* dy,
                      float* dw) const {
    math::DenseWeightGradientSelected(options.units, stash, n, dy, dw);
  }

  DenseOptions options;
  Slot slot;
};

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_DENSE_LAYER_H_
