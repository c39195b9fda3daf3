// The ops as a plug-in of the official TFLM interpreter (Python wheel): it looks up this function
// by name and passes its resolver.

#include <string.h>

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

}  // namespace

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
    all->registrations[all->count++] = op;
  }
  return true;
}
