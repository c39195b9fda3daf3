#ifndef TESTS_TFLM_OPS_KERNELS_CALL_BUILDER_H_
#define TESTS_TFLM_OPS_KERNELS_CALL_BUILDER_H_

// What the functions that draw calls share, and where they are.

#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "tests/tflm_ops/kernels/fake_tflm.h"
#include "tests/tflm_ops/kernels/kernel_calls.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {
namespace fake {

constexpr int64_t kMostElements = 0x7fffffff;

// A product, held within the range of int: options may say anything.
inline int Product(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (int64_t factor : factors) {
    product *= std::max<int64_t>(factor, 0);
    product = std::min(product, kMostElements);
  }
  return static_cast<int>(product);
}

inline int Clamp(int64_t value, int64_t low, int64_t high) {
  return static_cast<int>(std::min(std::max(value, low), high));
}

// Elements of a map.
inline int MapElements(const int32_t (&size)[2], int channels) {
  return Product({size[0], size[1], channels});
}

// Options of which nothing is set but their version.
template <typename Options>
Options Blank() {
  Options options = {};
  options.version = kOptionsVersion;
  return options;
}

// Puts a call together. Each function returns the index of the tensor it adds.
class Builder {
 public:
  Builder(const std::string& op, Random* random, bool wild) : random_(random), wild_(wild) {
    call_.op = op;
  }

  Random& random() { return *random_; }
  bool wild() const { return wild_; }

  // Now and then, if the call is to be wild.
  bool Extreme() { return wild_ && random_->Int(0, 7) == 0; }

  // Makes some of the words odd first, if the call is to be wild; tensors are drawn afterwards.
  template <typename Options>
  void SetOptions(Options* options, bool may_be_odd = true) {
    if (may_be_odd) Perturb(options);
    call_.options.resize(sizeof(*options));
    memcpy(call_.options.data(), options, sizeof(*options));
  }

  int Floats(const std::vector<int>& dims) {
    const int index = Add(tflm::kFloat32, dims);
    Tensor& tensor = call_.tensors[index];
    const int64_t n = std::max<int64_t>(BytesOf(tensor), 0) / 4;
    const std::vector<float> values = random_->Floats(static_cast<int>(n));
    SetContent(index, values.data(), values.size() * sizeof(float));
    return index;
  }

  int Constants(const std::vector<int>& dims) { return Keep(Floats(dims)); }

  // From 0 to 1.
  int Shares(int n) {
    std::vector<float> values = random_->Floats(n);
    for (float& value : values) value = std::min(std::max(value, 0.0f), 1.0f);
    const int index = Add(tflm::kFloat32, {n});
    SetContent(index, values.data(), values.size() * sizeof(float));
    return index;
  }
  int ConstantShares(int n) { return Keep(Shares(n)); }

  int FloatsOf(const std::vector<float>& values) {
    const int index = Add(tflm::kFloat32, {static_cast<int>(values.size())});
    SetContent(index, values.data(), values.size() * sizeof(float));
    return index;
  }
  int ConstantFloats(const std::vector<float>& values) { return Keep(FloatsOf(values)); }

  int Ints(const std::vector<int32_t>& values) {
    const int index = Add(tflm::kInt32, {static_cast<int>(values.size())});
    SetContent(index, values.data(), values.size() * sizeof(int32_t));
    return index;
  }

  int ConstantInts(const std::vector<int32_t>& values) { return Keep(Ints(values)); }

  int Bytes(int n) { return Add(tflm::kUInt8, {n}); }

  int Int8s(const std::vector<int>& dims) {
    const int index = Add(tflm::kInt8, dims);
    std::vector<int8_t> values(std::max<int64_t>(BytesOf(call_.tensors[index]), 0));
    for (int8_t& value : values) value = static_cast<int8_t>(random_->Int(-128, 127));
    SetContent(index, values.data(), values.size());
    return index;
  }

  int ConstantInt8s(const std::vector<int>& dims) { return Keep(Int8s(dims)); }

  // [3][channels]: bias, multiplier, shift, some of them odd if the call is to be wild.
  int Requantization(int channels) {
    const int n = Clamp(channels, 0, kMaxChannels);
    std::vector<int32_t> words;
    for (int i = 0; i < n; ++i) words.push_back(random_->Int(-100000, 100000));
    for (int i = 0; i < n; ++i) words.push_back((1 << 30) + random_->Int(0, 1 << 29));
    for (int i = 0; i < n; ++i) words.push_back(random_->Int(1, 31));
    if (n > 0 && Extreme()) {
      int32_t* word = &words[random_->Int(0, 3 * n - 1)];
      *word = static_cast<int32_t>(OddWord(random_, static_cast<uint32_t>(*word)));
    }
    const int index = Add(tflm::kInt32, {3, channels});
    SetContent(index, words.data(), words.size() * sizeof(int32_t));
    return Keep(index);
  }

  int Command() { return Ints({random_->Int(kCommandPredict, kCommandEvaluate)}); }

  int Rate() {
    const int rate = Add(tflm::kFloat32, {1});
    const float value = 0.125f;
    SetContent(rate, &value, sizeof(value));
    return rate;
  }

  void SetContent(int index, const void* content, size_t bytes) {
    const uint8_t* begin = static_cast<const uint8_t*>(content);
    call_.tensors[index].content.assign(begin, begin + bytes);
  }

  Call Finish(const std::vector<int>& inputs, const std::vector<int>& outputs) {
    call_.inputs = inputs;
    call_.outputs = outputs;
    return call_;
  }

 private:
  template <typename Options>
  void Perturb(Options* options) {
    constexpr int kWords = sizeof(Options) / sizeof(uint32_t);
    if (!wild_ || kWords < 2) return;
    uint32_t words[kWords];
    memcpy(words, options, sizeof(words));
    for (int n = random_->Int(1, 2); n > 0; --n) {
      uint32_t* word = &words[random_->Int(1, kWords - 1)];
      *word = OddWord(random_, *word);
    }
    memcpy(options, words, sizeof(words));
  }

  int Add(tflm::Type type, const std::vector<int>& dims) {
    Tensor tensor;
    tensor.type = type;
    tensor.dims = dims;
    call_.tensors.push_back(tensor);
    return static_cast<int>(call_.tensors.size()) - 1;
  }

  int Keep(int index) {
    call_.tensors[index].is_constant = true;
    return index;
  }

  Random* random_;
  bool wild_;
  Call call_;
};

// A call of an op without options of its own: `floats` inputs of floats, then perhaps a command.
Call DrawElements(Builder* b, int floats, bool command);

// How calls of ops are drawn, by the ops' names.
using Draws = std::map<std::string, Call (*)(Builder*)>;

const Draws& LayerCalls();
const Draws& FrozenCalls();
const Draws& ElementwiseCalls();
const Draws& MapCalls();
const Draws& ControlCalls();

}  // namespace fake
}  // namespace medyate

#endif  // TESTS_TFLM_OPS_KERNELS_CALL_BUILDER_H_
