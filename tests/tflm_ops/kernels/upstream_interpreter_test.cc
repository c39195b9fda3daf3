// bazel test --config=upstream: a training step inside TFLM built from its own source at the pinned
// commit, with our ops in its resolver. The losses must be those that the wheel's
// interpreter gave, bit for bit.

#include <string.h>

#include <fstream>
#include <iterator>
#include <vector>

#include "gtest/gtest.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tests/tflm_ops/support/json.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {
namespace {

constexpr int kOps = 32;
constexpr int kArenaBytes = 64 * 1024;

// Every op by name. A registration of ours has TFLM's layout: upstream_test.cc says so. (TFLM's
// MicroMutableOpResolver would do; its header names the kernels of half a dozen other libraries.)
class Ops : public tflite::MicroOpResolver {
 public:
  Ops() {
    const tflm::Registration all[] = {
        RegisterActivation(),
        RegisterAdd(),
        RegisterAveragePool2d(),
        RegisterAveragePool2dGradient(),
        RegisterControl(),
        RegisterConv2d(),
        RegisterConv2dUpdate(),
        RegisterConv2dInputGradient(),
        RegisterConvDepthwise(),
        RegisterDense(),
        RegisterDenseUpdate(),
        RegisterDenseInputGradient(),
        RegisterDepthwiseConv2d(),
        RegisterDepthwiseConv2dInputGradient(),
        RegisterDepthwiseConv2dUpdate(),
        RegisterGateGradient(),
        RegisterHardSwish(),
        RegisterHardSwishGradient(),
        RegisterMaxPool2d(),
        RegisterMaxPool2dGradient(),
        RegisterSoftmaxCrossEntropy(),
        RegisterStash(),
    };
    for (const tflm::Registration& op : all) {
      memcpy(&registrations_[count_++], &op, sizeof(op));
    }
  }
  const TFLMRegistration* FindOp(const char* name) const override {
    for (int i = 0; i < count_; ++i) {
      if (strcmp(registrations_[i].custom_name, name) == 0) return &registrations_[i];
    }
    return nullptr;
  }
  const TFLMRegistration* FindOp(tflite::BuiltinOperator) const override { return nullptr; }
  tflite::TfLiteBridgeBuiltinParseFunction GetOpDataParser(tflite::BuiltinOperator) const override {
    return nullptr;
  }

 private:
  TFLMRegistration registrations_[kOps] = {};
  int count_ = 0;
};

std::vector<char> ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return std::vector<char>(std::istreambuf_iterator<char>(file), {});
}

class TrainTest : public ::testing::Test {
 protected:
  TrainTest()
      : golden_(Json::FromFile("tests/golden/train.json")),
        bytes_(ReadFile("tests/golden/train.tflite")),
        model_(16 + bytes_.size()),
        arena_(kArenaBytes) {
    memcpy(Aligned(), bytes_.data(), bytes_.size());
  }

  // TFLM reads constants where they lie: the file's own alignment holds from 16 bytes on.
  char* Aligned() {
    const uintptr_t start = reinterpret_cast<uintptr_t>(model_.data());
    return model_.data() + (16 - start % 16) % 16;
  }

  // One Invoke; the loss's bits.
  uint32_t Run(tflite::MicroInterpreter* interpreter, int step, int command) {
    const auto& samples = golden_["samples"].items();
    const int n = static_cast<int>(interpreter->input(0)->bytes / sizeof(float));
    for (int i = 0; i < n; ++i) {
      interpreter->input(0)->data.f[i] = static_cast<float>(samples[step * n + i].number());
    }
    interpreter->input(1)->data.i32[0] =
        static_cast<int32_t>(golden_["labels"].items()[step].number());
    interpreter->input(2)->data.f[0] = static_cast<float>(golden_["rate"].number());
    interpreter->input(3)->data.i32[0] = command;
    EXPECT_EQ(interpreter->Invoke(), kTfLiteOk);
    uint32_t bits;
    memcpy(&bits, interpreter->output(1)->data.f, sizeof(bits));
    return bits;
  }

  Json golden_;
  std::vector<char> bytes_, model_;
  std::vector<uint8_t> arena_;
  Ops ops_;
};

TEST_F(TrainTest, EveryLossIsThatOfTheWheel) {
  tflite::MicroInterpreter interpreter(tflite::GetModel(Aligned()), ops_, arena_.data(),
                                       arena_.size());
  ASSERT_EQ(interpreter.AllocateTensors(), kTfLiteOk);
  Run(&interpreter, 0, kCommandDiscard);
  const std::vector<uint32_t> losses = golden_["loss_bits"].words();
  ASSERT_FALSE(losses.empty());
  for (size_t step = 0; step < losses.size(); ++step) {
    ASSERT_EQ(Run(&interpreter, static_cast<int>(step), kCommandStep), losses[step]) << step;
    if (step % 10 == 9) Run(&interpreter, 0, kCommandDraw);
  }
}

TEST_F(TrainTest, ABadLabelIsRefused) {
  tflite::MicroInterpreter interpreter(tflite::GetModel(Aligned()), ops_, arena_.data(),
                                       arena_.size());
  ASSERT_EQ(interpreter.AllocateTensors(), kTfLiteOk);
  interpreter.input(1)->data.i32[0] = 3;
  interpreter.input(3)->data.i32[0] = kCommandStep;
  EXPECT_EQ(interpreter.Invoke(), kTfLiteError);
}

}  // namespace
}  // namespace medyate
