#include "tflm_ops/trainer/sample.h"

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/int8_elementwise.h"

namespace medyate {
namespace {

template <typename Number>
void Store(const SampleType& type, const Number* numbers, int n, int8_t* stored) {
  for (int i = 0; i < n; ++i) {
    const float value = type.factor * static_cast<float>(numbers[i]) + type.offset;
    math::Quantize(&value, 1, type.scale, type.zero, &stored[i]);
  }
}

}  // namespace

void StoreSample(const SampleType& type, const float* numbers, int n, int8_t* stored) {
  Store(type, numbers, n, stored);
}

void StoreSample(const SampleType& type, const uint8_t* bytes, int n, int8_t* stored) {
  Store(type, bytes, n, stored);
}

bool HoldsBytes(const SampleType& type) {
  const float most = 3.0f * 128.0f;  // Beyond the range by no more than its width.
  const float ends[] = {0.0f, 255.0f};
  for (float number : ends) {
    const float value = (type.factor * number + type.offset) / type.scale;
    const float stored = value + static_cast<float>(type.zero);
    if (!(stored >= -most && stored <= most)) return false;
  }
  return true;
}

}  // namespace medyate
