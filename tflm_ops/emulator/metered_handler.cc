#include "tflm_ops/emulator/metered_handler.h"

#include <string.h>

#include "tflm_ops/emulator/semihosting.h"
#include "tflm_ops/emulator/stack.h"

namespace medyate {
namespace {

// A line of names and numbers.
class Line {
 public:
  explicit Line(const char* text) { Append(text); }

  void Add(const char* name, uint32_t value) {
    char digits[11];
    char* first = digits + sizeof(digits) - 1;
    *first = '\0';
    do {
      *--first = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value > 0);
    Append(" ");
    Append(name);
    Append("=");
    Append(first);
  }

  const char* text() const { return text_; }

 private:
  void Append(const char* text) {
    const size_t bytes = strlen(text);
    if (bytes_ + bytes >= sizeof(text_)) return;
    memcpy(text_ + bytes_, text, bytes + 1);
    bytes_ += bytes;
  }

  char text_[160] = {};
  size_t bytes_ = 0;
};

}  // namespace

uint32_t MeteredHandler::InstructionsSince(uint32_t ticks) const {
  return counts_ ? (clock_->Ticks() - ticks) * Clock::kInstructionsPerTick : 0;
}

DeviceStatus MeteredHandler::Count(DeviceStatus status, uint32_t ticks) {
  if (status != DeviceStatus::kOk) return status;
  step_instructions_ = InstructionsSince(ticks);
  all_step_instructions_ += step_instructions_;
  ++steps_;
  return status;
}

DeviceStatus MeteredHandler::Step(const void* sample, uint32_t label, float* loss) {
  const uint32_t ticks = clock_->Ticks();
  return Count(KeyedHandler::Step(sample, label, loss), ticks);
}

DeviceStatus MeteredHandler::StepTarget(const void* sample, const float* target, float* loss) {
  const uint32_t ticks = clock_->Ticks();
  return Count(KeyedHandler::StepTarget(sample, target, loss), ticks);
}

DeviceStatus MeteredHandler::Predict(const void* sample, float* scores) {
  const uint32_t ticks = clock_->Ticks();
  const DeviceStatus status = KeyedHandler::Predict(sample, scores);
  predict_instructions_ = InstructionsSince(ticks);
  return status;
}

void MeteredHandler::Report(StatusAnswer* status) {
  KeyedHandler::Report(status);
  Line line("measured");
  line.Add("step", step_instructions_);
  line.Add("steps", steps_);
  line.Add("steps_thousands", static_cast<uint32_t>(all_step_instructions_ / 1000));
  line.Add("predict", predict_instructions_);
  line.Add("stack", StackBytes());
  line.Add("static", StaticBytes());
  semihosting::Log(line.text());
}

}  // namespace medyate
