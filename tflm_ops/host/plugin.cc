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

// Names of the ops that this thread's next interpreter needs, each with a newline after it; null
// for all. The resolver has room for 83 beside TFLM's own.
thread_local const char* needed = nullptr;

bool IsNeeded(const char* names, const char* name) {
  if (names == nullptr) return true;
  const size_t size = strlen(name);
  for (const char* at = names; (at = strstr(at, name)) != nullptr; at += size) {
    if ((at == names || at[-1] == '\n') && at[size] == '\n') return true;
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

// Says which ops the next RegisterMedyateOps of this thread shall append, as above. They are read
// there.
extern "C" __attribute__((visibility("default"))) void MedyateNeed(const char* names) {
  needed = names;
}

// Appends every op, or those that MedyateNeed names. False if the resolver is full, has an op of
// that name already, or does not look like the one that tflm_abi.h describes.
extern "C" __attribute__((visibility("default"))) bool RegisterMedyateOps(void* resolver) {
  using namespace medyate;  // NOLINT
#define MEDYATE_REGISTER(key) Register##key(),
  const Registration ops[] = {MEDYATE_EVERY_OP(MEDYATE_REGISTER)};
#undef MEDYATE_REGISTER
  const char* const names = needed;
  needed = nullptr;
  PythonOpsResolver* all = static_cast<PythonOpsResolver*>(resolver);
  if (all->count == 0 || all->count > PythonOpsResolver::kCapacity) return false;
  if (all->registrations[all->count - 1].invoke == nullptr) return false;
  for (const Registration& op : ops) {
    if (!IsNeeded(names, op.custom_name)) continue;
    if (all->count == PythonOpsResolver::kCapacity || Has(*all, op.custom_name)) return false;
    all->registrations[all->count] = op;
    if (strcmp(op.custom_name, medyate::RegisterControl().custom_name) == 0) {
      all->registrations[all->count].invoke = RestoreAndControl;
    }
    ++all->count;
  }
  return true;
}
