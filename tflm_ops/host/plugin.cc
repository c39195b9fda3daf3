// The ops as a plug-in of the official TFLM interpreter (Python wheel): it looks up this function
// by name and passes its resolver.

#include <string.h>

#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/kernels/tflm_abi.h"

namespace {

using medyate::tflm::PythonOpsResolver;
using medyate::tflm::Registration;

bool Has(const PythonOpsResolver& resolver, const char* name) {
  for (unsigned i = 0; i < resolver.count; ++i) {
    const Registration& registration = resolver.registrations[i];
    if (registration.builtin_code == medyate::tflm::kBuiltinCustom &&
        strcmp(registration.custom_name, name) == 0) {
      return true;
    }
  }
  return false;
}

// Pool, selection and importance among the control op's inputs.
constexpr int kVariables[] = {4, 5, 7};
// What its next run puts there; null for what stays.
thread_local const void* to_restore[] = {nullptr, nullptr, nullptr};

// The wheel writes to inputs alone: variables get saved values before the first op runs.
medyate::tflm::Status RestoreAndControl(medyate::tflm::Context* context,
                                        medyate::tflm::Node* node) {
  const medyate::OpCall call("restore", context, node);
  for (int i = 0; i < 3; ++i) {
    void* data = call.InputData<char>(kVariables[i]);
    if (data && to_restore[i]) {
      memcpy(data, to_restore[i], sizeof(float) * medyate::Elements(*call.Input(kVariables[i])));
    }
    to_restore[i] = nullptr;
  }
  return medyate::RegisterControl().invoke(context, node);
}

}  // namespace

// Hands over what this thread's next run of a training graph begins with: as many values as its
// variables have. They are read in that run.
extern "C" __attribute__((visibility("default"))) void MedyateRestore(const void* pool,
                                                                      const void* selection,
                                                                      const void* importance) {
  to_restore[0] = pool;
  to_restore[1] = selection;
  to_restore[2] = importance;
}

// Appends every op. False if the resolver is full, has an op of that name already, or does not
// look like the one that tflm_abi.h describes.
extern "C" __attribute__((visibility("default"))) bool RegisterMedyateOps(void* resolver) {
  using namespace medyate;  // NOLINT
#define MEDYATE_REGISTER(key) Register##key(),
  const Registration ops[] = {MEDYATE_EVERY_OP(MEDYATE_REGISTER)};
#undef MEDYATE_REGISTER
  constexpr unsigned kOps = sizeof(ops) / sizeof(ops[0]);
  PythonOpsResolver* all = static_cast<PythonOpsResolver*>(resolver);
  if (all->count == 0 || all->count > PythonOpsResolver::kCapacity - kOps) return false;
  if (all->registrations[all->count - 1].invoke == nullptr) return false;
  for (const Registration& op : ops) {
    if (Has(*all, op.custom_name)) return false;
    all->registrations[all->count] = op;
    if (strcmp(op.custom_name, medyate::RegisterControl().custom_name) == 0) {
      all->registrations[all->count].invoke = RestoreAndControl;
    }
    ++all->count;
  }
  return true;
}
