// Trains a generated model on samples from a file, on the host or on the emulated Cortex-M4F, and
// writes down everything that must be the same on both and in TFLM. tests/exporter/test_cpp.py
// compiles it.
//
// input.bin: int32 {epochs, samples, rows to predict}, the labels, the samples.
// output.bin: for each epoch the selection, the loss and the learning rate of each step, and the
// rate at its end; then selection, importance, weights region, scores of the rows to predict.

#include <stdio.h>
#include <string.h>

#include "medyate_model.h"
#include "tflm_ops/draw/schedule.h"
#include "tflm_ops/schema/op_options.h"
#include "tflm_ops/trainer/step_trainer.h"

namespace {

using medyate_model::kModel;

alignas(medyate::kArenaAlignment) uint8_t arena[medyate_model::kArenaBytes];
float weights[medyate_model::kWeightsFloats];
float sample[4096], target[256], scores[256];
int32_t label;

FILE* in;
FILE* out;

bool Check(const char* what, medyate::TrainerStatus status) {
  if (status == medyate::TrainerStatus::kOk) return true;
  printf("%s: %s\n", what, medyate::TrainerStatusName(status));
  return false;
}

void Print(void* user, const char* text) {
  (void)user;
  printf("%s\n", text);
}

// A row of the input: a label or a target, or a sample.
bool Read(long start, int row, void* data, size_t words) {
  return fseek(in, start + static_cast<long>(row * words * 4), SEEK_SET) == 0 &&
         fread(data, 4, words, in) == words;
}

bool WriteTensor(const medyate::StepTrainer& trainer, int tensor) {
  const size_t words = trainer.runner().Elements(tensor);
  return fwrite(trainer.runner().Data(tensor), 4, words, out) == words;
}

bool Run(medyate::StepTrainer* trainer) {
  int32_t header[3];
  if (fread(header, 4, 3, in) != 3) return false;
  const size_t sample_words = trainer->runner().Elements(kModel.sample);
  const size_t label_words = trainer->runner().Elements(kModel.label);
  if (sample_words > 4096 || label_words > 256) return false;
  const long labels = sizeof(header);
  const long samples = labels + static_cast<long>(header[1] * label_words * 4);
  for (int epoch = 0; epoch < header[0]; ++epoch) {
    if (!WriteTensor(*trainer, kModel.selection)) return false;
    for (int row = 0; row < header[1]; ++row) {
      float result[2];
      result[1] = medyate::LearningRate(kModel.schedule, trainer->schedule_step());
      if (!Read(samples, row, sample, sample_words)) return false;
      if (kModel.classes > 0) {
        if (!Read(labels, row, &label, 1)) return false;
        if (!Check("Step", trainer->Step(sample, static_cast<int>(label), result))) return false;
      } else {
        if (!Read(labels, row, target, label_words)) return false;
        if (!Check("Step", trainer->Step(sample, target, result))) return false;
      }
      if (fwrite(result, 4, 2, out) != 2) return false;
    }
    const uint32_t last = kModel.batch_size * (trainer->updates() + 1) - 1;
    const float rate = medyate::LearningRate(kModel.schedule, last);
    if (fwrite(&rate, 4, 1, out) != 1) return false;  // Of a batch that comes up short.
    if (!Check("EndEpoch", trainer->EndEpoch())) return false;
  }
  if (!WriteTensor(*trainer, kModel.selection)) return false;
  WriteTensor(*trainer, kModel.importance);
  fwrite(weights, sizeof(float), medyate_model::kWeightsFloats, out);
  for (int row = 0; row < header[2]; ++row) {
    if (!Read(samples, row, sample, sample_words)) return false;
    if (!Check("Predict", trainer->Predict(sample, scores))) return false;
    fwrite(scores, 4, trainer->runner().Elements(kModel.logits), out);
  }
  return true;
}

}  // namespace

int main() {
  static medyate::StepTrainer trainer;
  memset(arena, 0xa5, sizeof(arena));  // Nothing may count on what lies there.
  trainer.SetReport(Print, nullptr);
  medyate::RamSink sink(kModel, weights, medyate_model::kWeightsFloats);
  in = fopen("input.bin", "rb");
  out = fopen("output.bin", "wb");
  const bool right = in && out &&
                     Check("Init", trainer.Init(kModel, arena, sizeof(arena), &sink)) &&
                     Run(&trainer);
  if (!out || fclose(out) != 0 || !right) return 1;
  printf("arena %u bytes, %u updates\n", static_cast<unsigned>(sizeof(arena)),
         static_cast<unsigned>(trainer.updates()));
  return 0;
}
