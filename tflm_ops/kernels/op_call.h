#ifndef TFLM_OPS_KERNELS_OP_CALL_H_
#define TFLM_OPS_KERNELS_OP_CALL_H_

// One call of an op: its options and tensors, and the checks that every op makes of them.
//
// No op has an Init or keeps anything: options are read where they lie in the model (so they cost
// no RAM), in Prepare to be checked and in Eval to be used.

#include <stdint.h>
#include <string.h>

#include "tflm_ops/kernels/tflm_abi.h"
#include "tflm_ops/schema/op_options.h"

// Returns from the function that uses it unless `expression` is true. The check has reported why.
#define MEDYATE_CHECK(expression) \
  do {                            \
    if (!(expression)) {          \
      return tflm::kError;        \
    }                             \
  } while (false)

namespace medyate {

class OpCall {
 public:
  OpCall(const char* op, tflm::Context* context, tflm::Node* node)
      : op_(op), context_(context), node_(node) {}

  // Copies the options. Reports and returns false if their size or version is not ours.
  template <typename Options>
  bool Read(Options* options) const {
    if (!HasOptionsOf(sizeof(Options))) return false;
    memcpy(options, node_->custom_initial_data, sizeof(Options));
    return Require(options->version == kOptionsVersion, "options version",
                   static_cast<int>(kOptionsVersion), static_cast<int>(options->version));
  }

  // Number of inputs or outputs.
  int inputs() const { return node_->inputs ? node_->inputs->size : 0; }
  int outputs() const { return node_->outputs ? node_->outputs->size : 0; }

  // The tensor; null where the model leaves it out. The index must exist.
  const tflm::EvalTensor* Input(int index) const { return TensorAt(node_->inputs->data[index]); }
  const tflm::EvalTensor* Output(int index) const { return TensorAt(node_->outputs->data[index]); }

  // An input's or output's data; null for an input that is left out. Variables are inputs too.
  template <typename T>
  T* InputData(int index) const {
    const tflm::EvalTensor* tensor = Input(index);
    return tensor ? static_cast<T*>(tensor->data) : nullptr;
  }
  template <typename T>
  T* OutputData(int index) const {
    return static_cast<T*>(Output(index)->data);
  }

  // The checks below report what is wrong and return false.

  bool RequireThat(bool condition, const char* expectation) const;
  bool Require(bool condition, const char* what, int expected, int received) const;
  bool RequireRange(const char* what, int64_t value, int64_t lowest, int64_t highest) const;

  // Rank and dimensions. `what` names the tensor.
  template <int kRank>
  bool RequireShape(const tflm::EvalTensor* tensor, const char* what, tflm::Type type,
                    const int (&dims)[kRank]) const {
    return RequireShape(tensor, what, type, dims, kRank);
  }
  bool RequireShape(const tflm::EvalTensor* tensor, const char* what, tflm::Type type,
                    const int* dims, int rank) const;

  // Any shape of `elements` elements, or of at least so many.
  bool RequireElements(const tflm::EvalTensor* tensor, const char* what, tflm::Type type,
                       int elements) const;
  bool RequireAtLeast(const tflm::EvalTensor* tensor, const char* what, tflm::Type type,
                      int elements) const;

 private:
  bool HasOptionsOf(int bytes) const;
  bool RequireType(const tflm::EvalTensor* tensor, const char* what, tflm::Type type) const;
  const tflm::EvalTensor* TensorAt(int index) const;

  const char* op_;
  tflm::Context* context_;
  tflm::Node* node_;
};

// Elements of a tensor; -1 if they are more than 2^31 - 1 or a dimension is below 1.
int Elements(const tflm::EvalTensor& tensor);

// A registration of the named op, without an Init.
tflm::Registration MakeRegistration(const char* name,
                                    tflm::Status (*prepare)(tflm::Context*, tflm::Node*),
                                    tflm::Status (*eval)(tflm::Context*, tflm::Node*));

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_OP_CALL_H_
