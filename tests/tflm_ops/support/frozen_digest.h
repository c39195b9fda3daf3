#ifndef TESTS_TFLM_OPS_SUPPORT_FROZEN_DIGEST_H_
#define TESTS_TFLM_OPS_SUPPORT_FROZEN_DIGEST_H_

// As digest.h, for what layers that are never trained compute beside convolutions.

#include <stdint.h>
#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/normalize.h"
#include "tflm_ops/math/strided_copy.h"

namespace medyate {
namespace math {

class FrozenDigest {
 public:
  // Computes everything; the result is the same for ever, unless an order of summation changes.
  uint32_t Run() {
    const NormShape norms[] = {{12, 1, 1, 25, true, 1e-3f},
                               {1, 20, 3, 5, true, 1e-3f},
                               {4, 5, 1, 15, false, 1e-6f},
                               {1, 300, 1, 1, true, 0.0f}};
    for (const NormShape& norm : norms) {
      Draw(x_);
      Draw(gamma_);
      Draw(dy_);
      NormalizeForward(norm, x_, gamma_, dy_, y_);
      Add();
      NormalizeForward(norm, x_, nullptr, nullptr, y_);
      Add();
      NormalizeBackward(norm, x_, gamma_, dy_, y_);
      Add();
    }
    const CopyShape copies[] = {{{1, 3, 10, 5, 2}, {0, 0, 1, 10, 0}, 7, kSize},
                                {{3, 2, 5, 2, 5}, {50, 0, 10, 0, 1}, 100, kSize}};
    for (const CopyShape& copy : copies) {
      StridedCopyForward(copy, x_, y_);
      Add();
      StridedCopyBackward(copy, x_, y_);
      Add();
    }
    return hash_;
  }

 private:
  static const int kSize = 300;

  void Draw(float* values) {
    for (int i = 0; i < kSize; ++i) {
      state_ = state_ * 1664525u + 1013904223u;
      values[i] = static_cast<float>(static_cast<int32_t>(state_) >> 8) / 8388608.0f;
    }
  }

  void Add() {
    for (float value : y_) {
      uint32_t bits;
      memcpy(&bits, &value, sizeof(bits));
      hash_ = (hash_ ^ bits) * 16777619u;
    }
  }

  uint32_t state_ = 1;
  uint32_t hash_ = 2166136261u;
  float x_[kSize], gamma_[kSize], dy_[kSize], y_[kSize];
};

// What FrozenDigest::Run returns everywhere.
const uint32_t kFrozenDigest = 4147874941u;

}  // namespace math
}  // namespace medyate

#endif  // TESTS_TFLM_OPS_SUPPORT_FROZEN_DIGEST_H_
