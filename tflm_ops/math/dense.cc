#include "tflm_ops/math/dense.h"

#include "tflm_ops/math/conv2d.h"
#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/shape.h"
#include "tflm_ops/math/tile.h"

namespace medyate {
namespace math {
namespace {

ConvShape DenseShape(int inputs, int units) { return {UnitAxis(1), UnitAxis(1), inputs, units}; }

}  // namespace

void DenseForward(int inputs, int units, const float* x, const Weights& w, const float* bias,
                  float* y) {
  Conv2dForward(DenseShape(inputs, units), x, w, bias, y);
}

void DenseInputGradient(int inputs, int units, const float* dy, const Weights& w, float* dx) {
  Conv2dInputGradient(DenseShape(inputs, units), dy, w, dx);
}

void DenseWeightGradientSelected(int units, const float* stash, int n, const float* dy, float* dw) {
  for (int k = 0; k < n; ++k, dw += units) {
    const float x = stash[k];
    int o = 0;
    for (; o + 4 <= units; o += 4) {
      Vec<4> sums = Vec<4>::Load(dw + o);
      sums.AddScaled(x, Vec<4>::Load(dy + o));
      sums.Store(dw + o);
    }
    for (; o < units; ++o) dw[o] += x * dy[o];
  }
}

}  // namespace math
}  // namespace medyate
