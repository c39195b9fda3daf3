#ifndef TESTS_TFLM_OPS_KERNELS_FAKE_TFLM_H_
#define TESTS_TFLM_OPS_KERNELS_FAKE_TFLM_H_

// A stand-in for TFLM that calls one op. Options, lists of tensors, shapes and every tensor's
// data are each a block of exactly their bytes, so that AddressSanitizer sees whatever an op reads
// or writes beside them; the options lie at an odd address, as a flatbuffer may have them.

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tflm_ops/kernels/tflm_abi.h"

namespace medyate {
namespace fake {

struct Tensor {
  tflm::Type type;
  std::vector<int> dims;
  std::vector<uint8_t> content;  // Of any length: cut, or filled up with zeros.
  bool is_constant = false;      // Has data in Prepare already, and keeps it.
  bool has_dims = true;
};

struct Call {
  std::string op;
  std::vector<uint8_t> options;
  std::vector<Tensor> tensors;
  std::vector<int> inputs;  // Indices of tensors; -1: left out.
  std::vector<int> outputs;
};

inline int BytesOf(tflm::Type type) {
  switch (static_cast<int>(type)) {
    case tflm::kUInt8:
    case tflm::kInt8:
      return 1;
    case 4:   // int64
    case 11:  // float64
      return 8;
    default:
      return 4;
  }
}

// Bytes of a tensor's data; -1 if they are more than a test should allocate.
inline int64_t BytesOf(const Tensor& tensor) {
  const int64_t most = std::max<int64_t>(1 << 18, tensor.content.size());
  int64_t bytes = BytesOf(tensor.type);
  for (int size : tensor.dims) {
    if (size < 1) return 0;
    bytes *= size;
    if (bytes > most) return -1;
  }
  return bytes;
}

class Runtime {
 public:
  explicit Runtime(const Call& call)
      : call_(call),
        context_{{}, this},
        inputs_(Array(call.inputs)),
        outputs_(Array(call.outputs)),
        options_(Allocate(call.options.size() + 1)) {
    memset(&context_.context, 0, sizeof(context_.context));
    context_.context.ReportError = Report;
    context_.context.GetEvalTensor = Get;
    uint8_t* options = static_cast<uint8_t*>(options_.get()) + 1;
    if (!call.options.empty()) memcpy(options, call.options.data(), call.options.size());
    memset(&node_, 0, sizeof(node_));
    node_.inputs = static_cast<tflm::IntArray*>(inputs_.get());
    node_.outputs = static_cast<tflm::IntArray*>(outputs_.get());
    node_.custom_initial_data = call.options.empty() ? nullptr : options;
    node_.custom_initial_data_size = static_cast<int>(call.options.size());
    for (const Tensor& tensor : call.tensors) {
      shapes_.push_back(tensor.has_dims ? Array(tensor.dims) : Block(nullptr, free));
      tensors_.push_back(Allocate(sizeof(tflm::EvalTensor)));
      data_.push_back(Block(nullptr, free));
      tflm::IntArray* dims = static_cast<tflm::IntArray*>(shapes_.back().get());
      *EvalTensorAt(data_.size() - 1) = {nullptr, dims, tensor.type};
      if (tensor.is_constant) AllocateData(data_.size() - 1);
    }
  }

  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // As in TFLM, only constants have data by then.
  bool Prepare(const tflm::Registration& op) {
    return op.prepare(&context_.context, &node_) == tflm::kOk;
  }

  // Gives every tensor its data; false if one is too large for a test.
  bool Allocate() {
    for (size_t i = 0; i < data_.size(); ++i) {
      if (BytesOf(call_.tensors[i]) < 0) return false;
      if (!data_[i]) AllocateData(i);
    }
    return true;
  }

  bool Eval(const tflm::Registration& op) {
    return op.invoke(&context_.context, &node_) == tflm::kOk;
  }

  uint8_t* Data(int tensor) { return static_cast<uint8_t*>(data_[tensor].get()); }

  // What was reported since the last time.
  std::string TakeErrors() {
    std::string errors;
    errors.swap(errors_);
    return errors;
  }

 private:
  using Block = std::unique_ptr<void, decltype(&free)>;

  struct FakeContext {
    tflm::Context context;
    Runtime* runtime;
  };

  static Block Allocate(size_t bytes) { return Block(malloc(bytes), free); }

  static Block Array(const std::vector<int>& numbers) {
    Block block = Allocate(sizeof(int) * (1 + numbers.size()));
    tflm::IntArray* array = static_cast<tflm::IntArray*>(block.get());
    array->size = static_cast<int>(numbers.size());
    for (size_t i = 0; i < numbers.size(); ++i) array->data[i] = numbers[i];
    return block;
  }

  static Runtime* Of(const tflm::Context* context) {
    return reinterpret_cast<const FakeContext*>(context)->runtime;
  }

  static void Report(tflm::Context* context, const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    Of(context)->errors_ += text;
  }

  static tflm::EvalTensor* Get(const tflm::Context* context, int index) {
    Runtime* runtime = Of(context);
    const int count = static_cast<int>(runtime->tensors_.size());
    if (index < 0 || index >= count) {
      ADD_FAILURE() << "asked for tensor " << index << " of " << count;
      return nullptr;
    }
    return runtime->EvalTensorAt(index);
  }

  tflm::EvalTensor* EvalTensorAt(size_t index) {
    return static_cast<tflm::EvalTensor*>(tensors_[index].get());
  }

  void AllocateData(size_t index) {
    const Tensor& tensor = call_.tensors[index];
    const int64_t bytes = BytesOf(tensor);
    if (bytes < 0) return;
    data_[index] = Allocate(bytes);
    const size_t known = tensor.content.size();
    const size_t copied = known < static_cast<size_t>(bytes) ? known : bytes;
    memset(Data(static_cast<int>(index)), 0, bytes);
    if (copied > 0) memcpy(data_[index].get(), tensor.content.data(), copied);
    EvalTensorAt(index)->data = data_[index].get();
  }

  const Call& call_;
  FakeContext context_;
  tflm::Node node_;
  Block inputs_;
  Block outputs_;
  Block options_;
  std::vector<Block> shapes_;
  std::vector<Block> tensors_;
  std::vector<Block> data_;
  std::string errors_;
};

}  // namespace fake
}  // namespace medyate

#endif  // TESTS_TFLM_OPS_KERNELS_FAKE_TFLM_H_
