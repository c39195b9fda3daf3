// One model that learns inside TensorFlow Lite Micro, with the ops beside it. To be built with TFLM
// at the commit that tflm_abi.h names, which is not included, and src/ as include path.
//
// The weights lie in the model's constants and are not written to: what is learned stays in the
// arena. The trainer without TFLM is the one that keeps it in flash.

#include "medyate_tflm.h"
#include "medyate_train_model.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"

namespace {

alignas(16) uint8_t arena[medyate::kTrainArenaBytes];
tflite::MicroMutableOpResolver<medyate::kTrainOps> resolver;
medyate::TrainNumber sample[medyate::kTrainInputs];

// One Invoke. TFLM reuses the memory of inputs, so all of them are set each time.
bool Run(tflite::MicroInterpreter* interpreter, int label, float rate, int command) {
  TfLiteTensor* input = interpreter->input(0);
  memcpy(input->data.raw, sample, input->bytes);
  interpreter->input(1)->data.i32[0] = label;
  interpreter->input(2)->data.f[0] = rate;
  interpreter->input(3)->data.i32[0] = command;
  return interpreter->Invoke() == kTfLiteOk;
}

}  // namespace

int main() {
  if (medyate::AddOps(&resolver) != kTfLiteOk) return 1;
  tflite::MicroInterpreter interpreter(tflite::GetModel(medyate::kTrainModel), resolver, arena,
                                       sizeof(arena));
  if (interpreter.AllocateTensors() != kTfLiteOk) return 1;
  // What is drawn when the state is new.
  if (!Run(&interpreter, 0, 0.0f, medyate::kCommandDiscard)) return 1;
  for (int step = 0; step < 20; ++step) {
    // Your sample, and its class:
    for (medyate::TrainNumber& number : sample) number = medyate::TrainStored(0.5f);
    const int label = 0;
    if (!Run(&interpreter, label, 0.01f, medyate::kCommandStep)) return 1;
    MicroPrintf("loss, in thousandths: %d",
                static_cast<int>(1000.0f * interpreter.output(1)->data.f[0]));
  }
  return 0;
}
