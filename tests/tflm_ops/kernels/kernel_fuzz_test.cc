// Calls every op of the plug-in with options, shapes, types, lists of tensors and contents that
// are right or damaged. An op may refuse a damaged call, saying why; it must never read or write
// beside a tensor, nor run into undefined behaviour: --config=asan looks for both.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/kernels/fake_tflm.h"
#include "tests/tflm_ops/kernels/kernel_calls.h"
#include "tflm_ops/kernels/tflm_abi.h"
#include "tflm_ops/schema/op_options.h"

extern "C" bool RegisterMedyateOps(void* resolver);

#ifdef ADDRESS_SANITIZER
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#endif

namespace medyate {
namespace fake {
namespace {

constexpr int kValidCalls = 150;
// Of each op; of the control op, which has most to go wrong, kControlCalls. More by night.
const int kDamagedCalls = getenv("MEDYATE_NIGHTLY") ? 20000 : 1000;
const int kControlCalls = 4 * kDamagedCalls;
constexpr int kEvals = 3;

// The call that runs now, for the report if it is the last.
Call g_call;
uint32_t g_seed;

int32_t WordAt(const std::vector<uint8_t>& bytes, size_t at) {
  int32_t word;
  memcpy(&word, bytes.data() + at, sizeof(word));
  return word;
}

std::string Describe(const Call& call) {
  std::ostringstream out;
  out << call.op << "\n  options";
  for (size_t at = 0; at + 4 <= call.options.size(); at += 4) {
    out << " " << WordAt(call.options, at);
  }
  out << " (" << call.options.size() << " bytes)\n";
  for (const auto* list : {&call.inputs, &call.outputs}) {
    out << (list == &call.inputs ? "  inputs" : "  outputs");
    for (int index : *list) out << " " << index;
    out << "\n";
  }
  for (size_t i = 0; i < call.tensors.size(); ++i) {
    const Tensor& tensor = call.tensors[i];
    out << "  tensor " << i << " type " << tensor.type << " [";
    for (int size : tensor.dims) out << " " << size;
    out << " ]";
    if (tensor.type == tflm::kInt32) {
      for (size_t at = 0; at + 4 <= tensor.content.size(); at += 4) {
        out << " " << WordAt(tensor.content, at);
      }
    }
    out << (tensor.is_constant ? " constant" : "") << "\n";
  }
  return out.str();
}

void ReportLastCall() {
  fprintf(stderr, "Last call, seed %u: %s", g_seed, Describe(g_call).c_str());
}

tflm::Status Nothing(tflm::Context*, tflm::Node*) { return tflm::kOk; }

// A resolver that knows one op already, as the wheel's does.
tflm::PythonOpsResolver EmptyResolver() {
  tflm::PythonOpsResolver resolver;
  memset(&resolver, 0, sizeof(resolver));
  resolver.registrations[0].invoke = Nothing;
  resolver.count = 1;
  return resolver;
}

std::vector<tflm::Registration> Ops() {
  tflm::PythonOpsResolver resolver = EmptyResolver();
  EXPECT_TRUE(RegisterMedyateOps(&resolver));
  return std::vector<tflm::Registration>(resolver.registrations + 1,
                                         resolver.registrations + resolver.count);
}

// Checks that an op that fails says so and why, and that one that does not is quiet.
void ExpectReport(bool ok, const std::string& errors) {
  if (ok) {
    EXPECT_EQ(errors, "");
  } else {
    EXPECT_EQ(errors.compare(0, g_call.op.size() + 2, g_call.op + ": "), 0) << errors;
    EXPECT_NE(errors.find("expected") == errors.npos, errors.find("missing") == errors.npos)
        << errors;
  }
}

void DamageWord(Random* random, uint8_t* bytes, int64_t size) {
  if (size < 1) return;
  const int width = size < 4 || random->Int(0, 7) == 0 ? 1 : 4;
  uint8_t* at = bytes + width * random->Int(0, static_cast<int>(size / width) - 1);
  uint32_t word = 0;
  memcpy(&word, at, width);
  word = OddWord(random, word);
  memcpy(at, &word, width);
}

Tensor* AnyTensor(Random* random, Call* call) {
  return &call->tensors[random->Int(0, static_cast<int>(call->tensors.size()) - 1)];
}

void DamageShape(Random* random, Tensor* tensor) {
  const int last = static_cast<int>(tensor->dims.size()) - 1;
  switch (random->Int(0, 4)) {
    case 0:
      tensor->dims.push_back(random->Int(0, 3));
      break;
    case 1:
      if (last >= 0) tensor->dims.pop_back();
      break;
    case 2:
      tensor->has_dims = false;
      break;
    case 3:
      if (last >= 0) std::swap(tensor->dims[0], tensor->dims[last]);
      break;
    default:
      if (last >= 0) {
        int* size = &tensor->dims[random->Int(0, last)];
        *size = static_cast<int>(OddWord(random, static_cast<uint32_t>(*size)));
      }
      break;
  }
}

// Another tensor in the place of one, none, or a longer or shorter list. Constants stay where
// they are: TFLM has them in the model, where no op may write.
void DamageList(Random* random, const Call& call, std::vector<int>* list) {
  const int other = random->Int(0, static_cast<int>(call.tensors.size()) - 1);
  const int last = static_cast<int>(list->size()) - 1;
  int* place = last >= 0 ? &(*list)[random->Int(0, last)] : nullptr;
  switch (random->Int(0, 4)) {
    case 0:
      if (place) list->pop_back();
      break;
    case 1:
      if (!call.tensors[other].is_constant) list->push_back(other);
      break;
    case 2:
      if (place) *place = tflm::kOptionalTensor;
      break;
    case 3:
      list->clear();
      break;
    default:
      if (place && !call.tensors[other].is_constant) *place = other;
      break;
  }
}

void DamageOptionsSize(Random* random, std::vector<uint8_t>* options) {
  const int size = static_cast<int>(options->size()) + random->Int(-5, 5);
  options->resize(random->Int(0, 3) == 0 ? 0 : std::max(size, 0));
}

void Damage(Random* random, Call* call) {
  Tensor* tensor = AnyTensor(random, call);
  switch (random->Int(0, 7)) {
    case 0:
    case 1:
      DamageWord(random, call->options.data(), static_cast<int64_t>(call->options.size()));
      break;
    case 2:
      DamageOptionsSize(random, &call->options);
      break;
    case 3:
      DamageShape(random, tensor);
      break;
    case 4:
      tensor->type = static_cast<tflm::Type>(random->Int(0, tflm::kLastType));
      break;
    case 5:
      DamageList(random, *call, random->Int(0, 1) ? &call->inputs : &call->outputs);
      break;
    default:
      DamageWord(random, tensor->content.data(), static_cast<int64_t>(tensor->content.size()));
      break;
  }
}

// Before an Eval: other commands, labels, choices, selections, pools.
void DamageContents(Random* random, Runtime* runtime) {
  for (int n = random->Int(0, 3); n > 0; --n) {
    const int count = static_cast<int>(g_call.tensors.size());
    int index = random->Int(0, count - 1);
    // Rather numbers that point somewhere than floats.
    if (g_call.tensors[index].type == tflm::kFloat32) index = random->Int(0, count - 1);
    if (g_call.tensors[index].is_constant) continue;
    DamageWord(random, runtime->Data(index), BytesOf(g_call.tensors[index]));
  }
  for (size_t i = 0; i < g_call.tensors.size(); ++i) {  // Commands above all.
    const Tensor& tensor = g_call.tensors[i];
    const bool is_word = tensor.type == tflm::kInt32 && BytesOf(tensor) == 4;
    const int32_t command = random->Int(kCommandPredict, kCommandEvaluate);
    if (is_word && random->Int(0, 1)) {
      memcpy(runtime->Data(static_cast<int>(i)), &command, sizeof(command));
    }
  }
}

}  // namespace

// UndefinedBehaviorSanitizer calls this if it is there.
extern "C" void __ubsan_on_report() { ReportLastCall(); }

namespace {

class KernelFuzzTest : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef ADDRESS_SANITIZER
    __sanitizer_set_death_callback(ReportLastCall);
#endif
  }
};

TEST_F(KernelFuzzTest, DrawsCallsOfEveryOp) {
  for (const tflm::Registration& op : Ops()) {
    Random random(1);
    EXPECT_EQ(DrawCall(op.custom_name, &random, false).op, op.custom_name)
        << "kernel_calls.cc draws no calls of " << op.custom_name;
  }
}

TEST_F(KernelFuzzTest, AcceptsValidCalls) {
  for (const tflm::Registration& op : Ops()) {
    for (g_seed = 0; g_seed < kValidCalls; ++g_seed) {
      Random random(g_seed);
      g_call = DrawCall(op.custom_name, &random, false);
      Runtime runtime(g_call);
      ASSERT_TRUE(runtime.Prepare(op)) << runtime.TakeErrors() << "\n" << Describe(g_call);
      ASSERT_TRUE(runtime.Allocate());
      ASSERT_TRUE(runtime.Eval(op)) << runtime.TakeErrors() << "\n" << Describe(g_call);
      ASSERT_EQ(runtime.TakeErrors(), "");
    }
  }
}

TEST_F(KernelFuzzTest, SurvivesDamagedCalls) {
  for (const tflm::Registration& op : Ops()) {
    const int calls = op.custom_name == std::string(kControlName) ? kControlCalls : kDamagedCalls;
    int refused = 0, run = 0, failed = 0;
    for (g_seed = 0; g_seed < static_cast<uint32_t>(calls) && !HasFailure(); ++g_seed) {
      Random random(g_seed);
      g_call = DrawCall(op.custom_name, &random, random.Int(0, 2) > 0);
      for (int n = random.Int(0, 2); n > 0; --n) Damage(&random, &g_call);
      SCOPED_TRACE(::testing::Message() << "seed " << g_seed << ": " << Describe(g_call));
      Runtime runtime(g_call);
      const bool accepted = runtime.Prepare(op);
      ExpectReport(accepted, runtime.TakeErrors());
      refused += !accepted;
      if (!accepted || !runtime.Allocate()) continue;
      ++run;
      for (int n = 0; n < kEvals; ++n) {
        DamageContents(&random, &runtime);
        const bool ok = runtime.Eval(op);
        ExpectReport(ok, runtime.TakeErrors());
        failed += !ok;
      }
    }
    // Else it would test little but Prepare, or nothing but good calls.
    EXPECT_GT(run, calls / 10) << op.custom_name;
    EXPECT_GT(refused, calls / 10) << op.custom_name;
    printf("%-40s %5d refused, %5d run, %5d of their Evals failed\n", op.custom_name, refused, run,
           failed);
  }
}

// Replaces the layout of a control op.
void SetLayout(const std::vector<int32_t>& words, Call* call) {
  Tensor* layout = &call->tensors[call->inputs[6]];
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(words.data());
  layout->dims = {static_cast<int>(words.size())};
  layout->content.assign(bytes, bytes + words.size() * sizeof(int32_t));
}

// Two rows on one slot: the second would write over what the first says of its run.
TEST_F(KernelFuzzTest, RefusesALayoutWhoseSlotsOverlap) {
  Random random(0);
  g_call = DrawCall(kControlName, &random, false);
  std::vector<int32_t> words;
  for (int i = 0; i < 2; ++i) {
    const int32_t row[kLayoutWords] = {3, 1, 1, 1, 4 + i, 3, kDrawnAnew, kNoBiasRun, 0};
    words.insert(words.end(), row, row + kLayoutWords);
  }
  SetLayout(words, &g_call);
  g_call.tensors[g_call.inputs[5]].dims = {20};
  for (int i = 7; i < 9; ++i) g_call.inputs[i] = tflm::kOptionalTensor;
  for (const tflm::Registration& op : Ops()) {
    if (g_call.op != op.custom_name) continue;
    Runtime runtime(g_call);
    EXPECT_FALSE(runtime.Prepare(op));
    EXPECT_NE(runtime.TakeErrors().find("layout"), std::string::npos);
  }
}

// As many channels as an int cannot count.
TEST_F(KernelFuzzTest, RefusesALayoutOfTooManyChannels) {
  constexpr int kRows = 0x7fffffff / kMaxChannels + 2;
  Random random(0);
  g_call = DrawCall(kControlName, &random, false);
  std::vector<int32_t> words;
  for (int i = 0; i < kRows; ++i) {
    const int32_t row[kLayoutWords] = {kMaxChannels, 1,          1, 1, kStateWords + 2 * i, 0,
                                       kDrawnAnew,   kNoBiasRun, 0};
    words.insert(words.end(), row, row + kLayoutWords);
  }
  SetLayout(words, &g_call);
  g_call.tensors[g_call.inputs[5]].dims = {kStateWords + 2 * kRows};
  for (const tflm::Registration& op : Ops()) {
    if (g_call.op != op.custom_name) continue;
    Runtime runtime(g_call);
    EXPECT_FALSE(runtime.Prepare(op));
    EXPECT_NE(runtime.TakeErrors().find("channels that can be drawn"), std::string::npos);
  }
}

TEST_F(KernelFuzzTest, RegistersOnceAndOnlyWhereThereIsRoom) {
  tflm::PythonOpsResolver resolver = EmptyResolver();
  ASSERT_TRUE(RegisterMedyateOps(&resolver));
  const unsigned count = resolver.count;
  EXPECT_FALSE(RegisterMedyateOps(&resolver)) << "they are there already";
  EXPECT_EQ(resolver.count, count);
  resolver = EmptyResolver();
  resolver.count = tflm::PythonOpsResolver::kCapacity - (count - 2);
  resolver.registrations[resolver.count - 1].invoke = Nothing;
  EXPECT_FALSE(RegisterMedyateOps(&resolver)) << "one more than there is room for";
}

}  // namespace
}  // namespace fake
}  // namespace medyate
