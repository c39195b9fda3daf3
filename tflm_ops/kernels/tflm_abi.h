#ifndef TFLM_OPS_KERNELS_TFLM_ABI_H_
#define TFLM_OPS_KERNELS_TFLM_ABI_H_

// The few C structs through which TFLM and an op talk, declared again so that the ops build without
// TFLM's source. They describe TFLM at commit 88f8587 (wheel 0.dev20260203175027), compiled with
// TF_LITE_STATIC_MEMORY, on 32-bit and 64-bit targets; tests/tflm_ops/kernels/upstream_test.cc
// compares them with the real headers. What no op uses is a placeholder of the right size.
//
// The enumerations have no fixed underlying type because TFLM's have none: on a Cortex-M they
// are one byte, on a host four.

#include <stddef.h>
#include <stdint.h>

namespace medyate {
namespace tflm {

enum Status { kOk = 0, kError = 1 };

enum Type {
  kNoType = 0,
  kFloat32 = 1,
  kInt32 = 2,
  kUInt8 = 3,
  kInt8 = 9,
  kLastType = 21,
};

// An index that stands for a tensor that was left out.
constexpr int kOptionalTensor = -1;

// TFLM's number for "custom op".
constexpr int32_t kBuiltinCustom = 32;

struct IntArray {
  int size;
  int data[];
};

struct EvalTensor {
  void* data;
  IntArray* dims;
  Type type;
};

struct Node {
  IntArray* inputs;
  IntArray* outputs;
  IntArray* intermediates;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
};

struct Context {
  void* unused_before_report_error[5];
  // Prints a message; knows %d, %u, %s, %f.
  void (*ReportError)(Context* context, const char* format, ...);
  void* unused_before_get_eval_tensor[15];
  // The tensor of an index of node->inputs or node->outputs.
  EvalTensor* (*GetEvalTensor)(const Context* context, int tensor_index);
};

struct Registration {
  void* (*init)(Context* context, const char* buffer, size_t length);
  void (*free)(Context* context, void* buffer);
  Status (*prepare)(Context* context, Node* node);
  Status (*invoke)(Context* context, Node* node);
  void (*reset)(Context* context, void* buffer);
  int32_t builtin_code;
  const char* custom_name;
};

// What the wheel passes to a plug-in: its resolver, up to the number of registrations.
struct PythonOpsResolver {
  static constexpr unsigned kCapacity = 200;
  void* vtable;
  Registration registrations[kCapacity];
  unsigned count;
};

static_assert(sizeof(IntArray) == sizeof(int), "size, then the numbers");
static_assert(sizeof(EvalTensor) == 3 * sizeof(void*), "data, dims, type");
static_assert(offsetof(Context, ReportError) == 5 * sizeof(void*), "place in the context");
static_assert(offsetof(Context, GetEvalTensor) == 21 * sizeof(void*), "place in the context");
static_assert(offsetof(Node, custom_initial_data) == 5 * sizeof(void*), "place in the node");
static_assert(sizeof(Registration) == 7 * sizeof(void*), "seven fields");
static_assert(offsetof(PythonOpsResolver, count) == (1 + 7 * 200) * sizeof(void*), "place");

}  // namespace tflm
}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_TFLM_ABI_H_
