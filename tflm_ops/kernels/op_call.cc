#include "tflm_ops/kernels/op_call.h"

namespace medyate {
namespace {

constexpr int64_t kMaxElements = 0x7fffffff;

}  // namespace

int Elements(const tflm::EvalTensor& tensor) {
  int64_t elements = 1;
  for (int i = 0; i < tensor.dims->size; ++i) {
    if (tensor.dims->data[i] < 1) return -1;
    elements *= tensor.dims->data[i];
    if (elements > kMaxElements) return -1;
  }
  return static_cast<int>(elements);
}

bool OpCall::RequireThat(bool condition, const char* expectation) const {
  if (!condition) context_->ReportError(context_, "%s: expected %s", op_, expectation);
  return condition;
}

bool OpCall::Require(bool condition, const char* what, int expected, int received) const {
  if (!condition) {
    context_->ReportError(context_, "%s: %s: expected %d, received %d", op_, what, expected,
                          received);
  }
  return condition;
}

bool OpCall::RequireRange(const char* what, int64_t value, int64_t lowest, int64_t highest) const {
  if (value >= lowest && value <= highest) return true;
  context_->ReportError(context_, "%s: %s: expected %d to %d, received %d%s", op_, what,
                        static_cast<int>(lowest), static_cast<int>(highest),
                        static_cast<int>(value > kMaxElements ? kMaxElements : value),
                        value > kMaxElements ? " or more" : "");
  return false;
}

bool OpCall::RequireElements(const tflm::EvalTensor* tensor, const char* what, tflm::Type type,
                             int elements) const {
  if (!RequireType(tensor, what, type)) return false;
  return Require(Elements(*tensor) == elements, what, elements, Elements(*tensor));
}

bool OpCall::RequireAtLeast(const tflm::EvalTensor* tensor, const char* what, tflm::Type type,
                            int elements) const {
  if (!RequireType(tensor, what, type)) return false;
  return RequireRange(what, Elements(*tensor), elements, kMaxElements);
}

bool OpCall::HasOptionsOf(int bytes) const {
  const int received = node_->custom_initial_data ? node_->custom_initial_data_size : 0;
  return Require(received == bytes, "bytes of options", bytes, received);
}

bool OpCall::RequireType(const tflm::EvalTensor* tensor, const char* what, tflm::Type type) const {
  if (!tensor || !tensor->dims) {
    context_->ReportError(context_, "%s: %s is missing", op_, what);
    return false;
  }
  if (tensor->type == type) return true;
  context_->ReportError(context_, "%s: %s: expected type %d, received type %d", op_, what,
                        static_cast<int>(type), static_cast<int>(tensor->type));
  return false;
}

bool OpCall::RequireShape(const tflm::EvalTensor* tensor, const char* what, tflm::Type type,
                          const int* dims, int rank) const {
  if (!RequireType(tensor, what, type)) return false;
  if (tensor->dims->size != rank) {
    context_->ReportError(context_, "%s: %s: expected rank %d, received rank %d", op_, what, rank,
                          tensor->dims->size);
    return false;
  }
  for (int i = 0; i < rank; ++i) {
    if (tensor->dims->data[i] != dims[i]) {
      context_->ReportError(context_, "%s: %s: dimension %d: expected %d, received %d", op_, what,
                            i, dims[i], tensor->dims->data[i]);
      return false;
    }
  }
  return true;
}

const tflm::EvalTensor* OpCall::TensorAt(int index) const {
  return index == tflm::kOptionalTensor ? nullptr : context_->GetEvalTensor(context_, index);
}

tflm::Registration MakeRegistration(const char* name,
                                    tflm::Status (*prepare)(tflm::Context*, tflm::Node*),
                                    tflm::Status (*eval)(tflm::Context*, tflm::Node*)) {
  return {nullptr, nullptr, prepare, eval, nullptr, tflm::kBuiltinCustom, name};
}

}  // namespace medyate
