// bazel test --config=upstream: our own declarations of TFLM's C structs, against its headers at
// the pinned commit.

#include <stddef.h>

#include <type_traits>

#include "gtest/gtest.h"
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_common.h"
#include "tflm_ops/kernels/tflm_abi.h"

namespace {

namespace ours = medyate::tflm;

// Same place and same size of a field, whose name is the same.
#define EXPECT_SAME_FIELD(Ours, Theirs, field)                            \
  static_assert(offsetof(ours::Ours, field) == offsetof(Theirs, field) && \
                    sizeof(static_cast<ours::Ours*>(nullptr)->field) ==   \
                        sizeof(static_cast<Theirs*>(nullptr)->field),     \
                #Theirs "::" #field)

EXPECT_SAME_FIELD(Registration, TFLMRegistration, init);
EXPECT_SAME_FIELD(Registration, TFLMRegistration, free);
EXPECT_SAME_FIELD(Registration, TFLMRegistration, prepare);
EXPECT_SAME_FIELD(Registration, TFLMRegistration, invoke);
EXPECT_SAME_FIELD(Registration, TFLMRegistration, reset);
EXPECT_SAME_FIELD(Registration, TFLMRegistration, builtin_code);
EXPECT_SAME_FIELD(Registration, TFLMRegistration, custom_name);
static_assert(sizeof(ours::Registration) == sizeof(TFLMRegistration), "TFLMRegistration");
static_assert(std::is_standard_layout<TFLMRegistration>::value, "a plain C struct");

EXPECT_SAME_FIELD(Node, TfLiteNode, inputs);
EXPECT_SAME_FIELD(Node, TfLiteNode, outputs);
EXPECT_SAME_FIELD(Node, TfLiteNode, intermediates);
EXPECT_SAME_FIELD(Node, TfLiteNode, user_data);
EXPECT_SAME_FIELD(Node, TfLiteNode, builtin_data);
EXPECT_SAME_FIELD(Node, TfLiteNode, custom_initial_data);
EXPECT_SAME_FIELD(Node, TfLiteNode, custom_initial_data_size);
static_assert(sizeof(ours::Node) == sizeof(TfLiteNode), "TfLiteNode");

EXPECT_SAME_FIELD(EvalTensor, TfLiteEvalTensor, data);
EXPECT_SAME_FIELD(EvalTensor, TfLiteEvalTensor, dims);
EXPECT_SAME_FIELD(EvalTensor, TfLiteEvalTensor, type);
static_assert(sizeof(ours::EvalTensor) == sizeof(TfLiteEvalTensor), "TfLiteEvalTensor");

static_assert(offsetof(ours::IntArray, size) == offsetof(TfLiteIntArray, size), "size");
static_assert(offsetof(ours::IntArray, data) == offsetof(TfLiteIntArray, data), "data");

EXPECT_SAME_FIELD(Context, TfLiteContext, ReportError);
EXPECT_SAME_FIELD(Context, TfLiteContext, GetEvalTensor);

static_assert(static_cast<int>(ours::kOk) == kTfLiteOk, "status");
static_assert(static_cast<int>(ours::kError) == kTfLiteError, "status");
static_assert(static_cast<int>(ours::kFloat32) == kTfLiteFloat32, "type");
static_assert(static_cast<int>(ours::kInt32) == kTfLiteInt32, "type");
static_assert(static_cast<int>(ours::kUInt8) == kTfLiteUInt8, "type");
static_assert(static_cast<int>(ours::kInt8) == kTfLiteInt8, "type");
static_assert(sizeof(ours::Type) == sizeof(TfLiteType), "enumerations of one size");
static_assert(sizeof(ours::Status) == sizeof(TfLiteStatus), "enumerations of one size");
static_assert(ours::kOptionalTensor == kTfLiteOptionalTensor, "a tensor that is left out");

TEST(UpstreamTest, StructsAreAsDeclared) { SUCCEED(); }

}  // namespace
