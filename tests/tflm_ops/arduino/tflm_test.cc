// Registers a model's ops in a resolver and prints them, and how the model lies in memory.

#include <stdio.h>

#include "medyate_tflm.h"
#include "medyate_train_model.h"

template <unsigned N>
void Print(const char* what, const tflite::MicroMutableOpResolver<N>& resolver) {
  printf("%s", what);
  for (unsigned i = 0; i < resolver.count; ++i) {
    const TFLMRegistration& op = resolver.ops[i];
    printf(" %s%s", op.custom_name, op.prepare && op.invoke ? "" : "(empty)");
  }
  printf("\n");
}

int main() {
  tflite::MicroMutableOpResolver<medyate::kTrainOps> ours;
  tflite::MicroMutableOpResolver<medyate::kAllOps> all;
  printf("status %d %d\n", medyate::AddOps(&ours), medyate::AddAllOps(&all));
  Print("ours", ours);
  Print("all", all);
  printf("again %d %d\n", medyate::AddOps(&ours), medyate::AddOps(&all));
  printf("aligned %d\n", static_cast<int>(reinterpret_cast<uintptr_t>(medyate::kTrainModel) % 16));
  for (unsigned i = 0; i < medyate::kTrainModelBytes; ++i) printf("%02x", medyate::kTrainModel[i]);
  printf("\n");
  return 0;
}
