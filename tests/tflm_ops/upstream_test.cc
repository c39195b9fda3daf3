// bazel test --config=upstream: what we rely on in TFLM's C structs, against its own headers at the
// pinned commit. Whoever declares the structs for builds without those headers compares them here.

#include <stddef.h>

#include <type_traits>

#include "gtest/gtest.h"
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_common.h"

namespace {

static_assert(std::is_standard_layout<TFLMRegistration>::value, "a plain C struct");
static_assert(sizeof(TFLMRegistration) == 7 * sizeof(void*),
              "seven fields, none wider than a pointer");
static_assert(offsetof(TFLMRegistration, init) == 0 * sizeof(void*), "order of fields");
static_assert(offsetof(TFLMRegistration, free) == 1 * sizeof(void*), "order of fields");
static_assert(offsetof(TFLMRegistration, prepare) == 2 * sizeof(void*), "order of fields");
static_assert(offsetof(TFLMRegistration, invoke) == 3 * sizeof(void*), "order of fields");
static_assert(offsetof(TFLMRegistration, reset) == 4 * sizeof(void*), "order of fields");
static_assert(offsetof(TFLMRegistration, builtin_code) == 5 * sizeof(void*), "order of fields");
static_assert(offsetof(TFLMRegistration, custom_name) == 6 * sizeof(void*), "order of fields");

// The layout of TF_LITE_STATIC_MEMORY: three fields.
static_assert(sizeof(TfLiteEvalTensor) == 3 * sizeof(void*), "data, dims, type");

TEST(UpstreamTest, StructsAreAsDeclared) { SUCCEED(); }

}  // namespace
