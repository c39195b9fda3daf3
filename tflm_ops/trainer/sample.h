#ifndef TFLM_OPS_TRAINER_SAMPLE_H_
#define TFLM_OPS_TRAINER_SAMPLE_H_

// What a sample is made of: how a model takes it, and how it is given.

#include <stddef.h>
#include <stdint.h>

namespace medyate {

// How a model that takes its samples in 8 bits keeps a number of its input: as (factor * number +
// offset) / scale + zero, rounded half away from zero and held within 8 bits. `factor` and `offset`
// are those of a Rescaling that the model begins with. The twin of tf_medyate/sample_type.py.
struct SampleType {
  float factor;
  float offset;
  float scale;
  int zero;
};

// Keeps `n` finite numbers; overwrites `stored`.
void StoreSample(const SampleType& type, const float* numbers, int n, int8_t* stored);
// The same for numbers that are bytes.
void StoreSample(const SampleType& type, const uint8_t* bytes, int n, int8_t* stored);

// A single number.
inline int8_t Stored(const SampleType& type, float number) {
  int8_t stored;
  StoreSample(type, &number, 1, &stored);
  return stored;
}

// Whether the numbers 0 to 255 lie where the model's samples do, more or less. If not it was made
// for scaled ones.
bool HoldsBytes(const SampleType& type);

// A sample, [input elements], somewhere in memory: numbers of the model's input as floats, or as
// the bytes of a camera; or int8, as a model in 8 bits keeps them.
class SampleRef {
 public:
  enum class Kind : uint8_t { kFloats, kBytes, kStored };

  // Implicit: whatever takes a sample takes any of these.
  SampleRef(const float* data) : data_(data), kind_(Kind::kFloats) {}     // NOLINT
  SampleRef(const uint8_t* data) : data_(data), kind_(Kind::kBytes) {}    // NOLINT
  SampleRef(const int8_t* data) : data_(data), kind_(Kind::kStored) {}    // NOLINT
  SampleRef(decltype(nullptr)) : data_(nullptr), kind_(Kind::kFloats) {}  // NOLINT

  const void* data() const { return data_; }
  Kind kind() const { return kind_; }
  const float* floats() const { return static_cast<const float*>(data_); }
  const uint8_t* bytes() const { return static_cast<const uint8_t*>(data_); }

 private:
  const void* data_;
  Kind kind_;
};

}  // namespace medyate

#endif  // TFLM_OPS_TRAINER_SAMPLE_H_
