// Instructions of one MEDYATE_CONV_2D_UPDATE on the emulated Cortex-M4F, as the number of drawn
// channels grows: run by benchmarks/scaling.py. SysTick ticks once every 40 instructions under
// qemu's -icount shift=0.

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tflm_ops/schema/op_options.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/kernels/tflm_abi.h"

namespace medyate {
namespace {

constexpr int kSide = 8, kChannels = 32, kRun = 9 * kChannels, kPlane = kSide * kSide;
constexpr int kSlotWords = kSelectionHeaderWords + kChannels / 2;

float dy[kPlane * kChannels], pool[kChannels * (kRun + kPlane) + kChannels];
float weights[kChannels * kRun], bias[kChannels], importance[kChannels], scratch[4 * kRun];
float rate[1] = {0.01f}, optimizer[kOptimizerWords];
int32_t selection[kStateWords + kSlotWords], command[1] = {kCommandStep};

template <int kRank>
struct Dims {
  int size;
  int data[kRank];
};
Dims<1> of_dy = {1, {kPlane * kChannels}}, of_pool = {1, {sizeof(pool) / 4}}, one = {1, {1}};
Dims<1> of_selection = {1, {kStateWords + kSlotWords}}, of_channels = {1, {kChannels}};
Dims<1> of_scratch = {1, {4 * kRun}}, of_optimizer = {1, {kOptimizerWords}};
Dims<4> of_weights = {4, {kChannels, 3, 3, kChannels}};

template <typename D>
tflm::EvalTensor Tensor(void* data, D* dims, tflm::Type type = tflm::kFloat32) {
  return {data, reinterpret_cast<tflm::IntArray*>(dims), type};
}

tflm::EvalTensor tensors[10];

// In the order of the op's inputs; the last is its output.
void MakeTensors() {
  const tflm::EvalTensor all[] = {
      Tensor(dy, &of_dy),
      Tensor(pool, &of_pool),
      Tensor(selection, &of_selection, tflm::kInt32),
      Tensor(rate, &one),
      Tensor(command, &one, tflm::kInt32),
      Tensor(importance, &of_channels),
      Tensor(optimizer, &of_optimizer),
      Tensor(weights, &of_weights),
      Tensor(bias, &of_channels),
      Tensor(scratch, &of_scratch),
  };
  memcpy(tensors, all, sizeof(all));
}

tflm::EvalTensor* TensorAt(const tflm::Context*, int index) { return &tensors[index]; }

void Report(tflm::Context*, const char* format, ...) { puts(format); }

uint32_t Ticks() { return reinterpret_cast<volatile uint32_t*>(0xE000E010)[2]; }

void StartTicks() {
  volatile uint32_t* const systick = reinterpret_cast<volatile uint32_t*>(0xE000E010);
  systick[1] = 0xFFFFFF;
  systick[2] = 0;
  systick[0] = 5;
}

void Draw(int count) {
  int32_t* slot = selection + kStateWords;
  slot[0] = count;
  slot[1] = kChannels;
  uint16_t* channels = reinterpret_cast<uint16_t*>(slot + kSelectionHeaderWords);
  for (int i = 0; i < count; ++i) channels[i] = static_cast<uint16_t>(i);
}

int Run() {
  MakeTensors();
  const float scale = 1.0f;
  memcpy(&selection[kStateWordGradientScale], &scale, sizeof(scale));
  Conv2dOptions options = {kOptionsVersion,
                           kChannels,
                           kChannels,
                           {kSide, kSide},
                           {kSide, kSide},
                           {3, 3},
                           {1, 1},
                           {1, 1},
                           {1, 1},
                           kActivationNone,
                           0.0f,
                           0,
                           kStateWords,
                           kChannels,
                           0,
                           0,
                           0,
                           0};
  Dims<9> inputs = {9, {0, 1, 2, 3, 4, 5, 6, 7, 8}};
  Dims<1> outputs = {1, {9}};
  tflm::Node node = {};
  node.inputs = reinterpret_cast<tflm::IntArray*>(&inputs);
  node.outputs = reinterpret_cast<tflm::IntArray*>(&outputs);
  node.custom_initial_data = &options;
  node.custom_initial_data_size = sizeof(options);
  tflm::Context context = {};
  context.ReportError = Report;
  context.GetEvalTensor = TensorAt;
  const tflm::Registration op = RegisterConv2dUpdate();
  if (op.prepare(&context, &node) != tflm::kOk) return 1;
  StartTicks();
  const int counts[] = {0, 1, 2, 4, 8, 16, 32};
  for (int count : counts) {
    Draw(count);
    const uint32_t before = Ticks();
    if (op.invoke(&context, &node) != tflm::kOk) return 1;
    printf("%d %lu\n", count, static_cast<unsigned long>(40 * ((before - Ticks()) & 0xFFFFFF)));
  }
  return 0;
}

}  // namespace
}  // namespace medyate

int main() { return medyate::Run(); }
