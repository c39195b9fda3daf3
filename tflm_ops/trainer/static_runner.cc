#include "tflm_ops/trainer/static_runner.h"

#include <stdarg.h>
#include <string.h>

namespace medyate {
namespace {

// A message that is put together in a buffer of fixed size: TFLM's formats without printf, which
// would bring the C library's heap.
class Message {
 public:
  void Format(const char* format, va_list arguments) {
    for (; *format != '\0'; ++format) {
      if (*format != '%' || format[1] == '\0') {
        Add(*format);
        continue;
      }
      switch (*++format) {
        case 'd':
          AddSigned(va_arg(arguments, int));
          break;
        case 'u':
          AddUnsigned(va_arg(arguments, unsigned));
          break;
        case 's':
          AddText(va_arg(arguments, const char*));
          break;
        default:  // Not an op's of ours: the rest cannot be read.
          AddText("...");
          return;
      }
    }
  }

  const char* text() const { return text_; }

 private:
  void Add(char c) {
    if (length_ + 1 < kReportBytes) text_[length_++] = c;
  }

  void AddText(const char* text) {
    for (; text && *text != '\0'; ++text) Add(*text);
  }

  void AddSigned(int value) {
    if (value < 0) Add('-');
    AddUnsigned(value < 0 ? 0u - static_cast<unsigned>(value) : static_cast<unsigned>(value));
  }

  void AddUnsigned(unsigned value) {
    char digits[10];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (count > 0) Add(digits[--count]);
  }

  size_t length_ = 0;
  char text_[kReportBytes] = {};
};

// What lies there may change while the program runs, whatever `const` says: the compiler must not
// see through this pointer to an initializer.
const float* Changing(const float* weights) {
  const float* volatile hidden = weights;
  return hidden;
}

tflm::IntArray* AsIntArray(const int* numbers) {
  return reinterpret_cast<tflm::IntArray*>(const_cast<int*>(numbers));
}

tflm::Node NodeOf(const StaticNode& node) {
  tflm::Node result;
  memset(&result, 0, sizeof(result));
  result.inputs = AsIntArray(node.inputs);
  result.outputs = AsIntArray(node.outputs);
  result.custom_initial_data = node.options;
  result.custom_initial_data_size = node.options_bytes;
  return result;
}

int64_t ElementsOf(const int* dims) {
  int64_t elements = 1;
  for (int i = 1; i <= dims[0]; ++i) {
    if (dims[i] < 1 || elements > 0x7fffffff / dims[i]) return -1;
    elements *= dims[i];
  }
  return elements;
}

bool IsSound(const StaticModel& model, const StaticTensor& tensor) {
  const bool is_word = tensor.type == tflm::kFloat32 || tensor.type == tflm::kInt32;
  const int64_t elements = ElementsOf(tensor.dims);
  const int64_t end = int64_t{tensor.offset} + elements * (is_word ? 4 : 1);
  if (elements < 0 || tensor.offset % sizeof(float) != 0) return false;
  if (tensor.place == Place::kConstant) return tensor.constant != nullptr;
  if (tensor.place == Place::kWeights) return end <= int64_t{model.weights_floats} * 4;
  return end <= int64_t{model.planned_bytes} + model.variable_bytes;
}

bool AreSound(const StaticModel& model, const int* numbers) {
  for (int i = 1; i <= numbers[0]; ++i) {
    if (numbers[i] < tflm::kOptionalTensor || numbers[i] >= model.tensor_count) return false;
  }
  return true;
}

bool IsSound(const StaticModel& model) {
  for (int i = 0; i < model.tensor_count; ++i) {
    if (!IsSound(model, model.tensors[i])) return false;
  }
  for (int i = 0; i < model.node_count; ++i) {
    const StaticNode& node = model.nodes[i];
    if (!AreSound(model, node.inputs) || !AreSound(model, node.outputs)) return false;
  }
  return true;
}

// Where the EvalTensors begin.
size_t RecordsOffset(const StaticModel& model) {
  const size_t end = size_t{model.planned_bytes} + model.variable_bytes;
  return (end + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

}  // namespace

const char* RunnerStatusName(RunnerStatus status) {
  switch (status) {
    case RunnerStatus::kOk:
      return "kOk";
    case RunnerStatus::kNotInitialized:
      return "kNotInitialized";
    case RunnerStatus::kNoArena:
      return "kNoArena";
    case RunnerStatus::kArenaNotAligned:
      return "kArenaNotAligned";
    case RunnerStatus::kArenaTooSmall:
      return "kArenaTooSmall";
    case RunnerStatus::kBadModel:
      return "kBadModel";
    case RunnerStatus::kPrepareFailed:
      return "kPrepareFailed";
    case RunnerStatus::kInvokeFailed:
      return "kInvokeFailed";
  }
  return "unknown";
}

size_t StaticRunner::ArenaBytes(const StaticModel& model) {
  return RecordsOffset(model) + sizeof(tflm::EvalTensor) * model.tensor_count;
}

RunnerStatus StaticRunner::Init(const StaticModel& model, void* arena, size_t arena_bytes,
                                const float* weights) {
  model_ = nullptr;
  failed_node_ = -1;
  if (!arena) return Fail(RunnerStatus::kNoArena);
  if (reinterpret_cast<uintptr_t>(arena) % kArenaAlignment != 0) {
    return Fail(RunnerStatus::kArenaNotAligned);
  }
  if (arena_bytes < ArenaBytes(model)) {
    Report("arena: expected at least %u bytes, received %u",
           static_cast<unsigned>(ArenaBytes(model)), static_cast<unsigned>(arena_bytes));
    return RunnerStatus::kArenaTooSmall;
  }
  if (!IsSound(model)) return Fail(RunnerStatus::kBadModel);
  model_ = &model;
  PlaceTensors(static_cast<uint8_t*>(arena), Changing(weights ? weights : model.weights));
  context_.context.ReportError = ReportError;
  context_.context.GetEvalTensor = GetEvalTensor;
  context_.runner = this;
  const RunnerStatus status = PrepareNodes();
  if (status != RunnerStatus::kOk) model_ = nullptr;
  return status;
}

void StaticRunner::PlaceTensors(uint8_t* arena, const float* weights) {
  memset(arena + model_->planned_bytes, 0, model_->variable_bytes);
  tensors_ = reinterpret_cast<tflm::EvalTensor*>(arena + RecordsOffset(*model_));
  for (int i = 0; i < model_->tensor_count; ++i) {
    const StaticTensor& tensor = model_->tensors[i];
    void* data = arena + tensor.offset;
    if (tensor.place == Place::kConstant) data = const_cast<void*>(tensor.constant);
    if (tensor.place == Place::kWeights) {
      data = const_cast<float*>(weights + tensor.offset / sizeof(float));
    }
    tensors_[i] = {data, AsIntArray(tensor.dims), static_cast<tflm::Type>(tensor.type)};
  }
}

RunnerStatus StaticRunner::PrepareNodes() {
  for (int i = 0; i < model_->node_count; ++i) {
    const tflm::Registration registration = model_->nodes[i].registration();
    tflm::Node node = NodeOf(model_->nodes[i]);
    if (registration.prepare(&context_.context, &node) != tflm::kOk) {
      failed_node_ = i;
      return RunnerStatus::kPrepareFailed;
    }
  }
  return RunnerStatus::kOk;
}

RunnerStatus StaticRunner::InvokeFirst(int nodes) {
  if (!model_) return RunnerStatus::kNotInitialized;
  failed_node_ = -1;
  for (int i = 0; i < nodes && i < model_->node_count; ++i) {
    const tflm::Registration registration = model_->nodes[i].registration();
    tflm::Node node = NodeOf(model_->nodes[i]);
    if (registration.invoke(&context_.context, &node) != tflm::kOk) {
      failed_node_ = i;
      return RunnerStatus::kInvokeFailed;
    }
  }
  return RunnerStatus::kOk;
}

void* StaticRunner::Data(int tensor) const {
  return model_ && tensor >= 0 && tensor < model_->tensor_count ? tensors_[tensor].data : nullptr;
}

int StaticRunner::Elements(int tensor) const {
  if (!Data(tensor)) return 0;
  return static_cast<int>(ElementsOf(model_->tensors[tensor].dims));
}

RunnerStatus StaticRunner::Fail(RunnerStatus status) {
  Report("runner: %s", RunnerStatusName(status));
  return status;
}

void StaticRunner::Report(const char* format, ...) {
  if (!report_) return;
  Message message;
  va_list arguments;
  va_start(arguments, format);
  message.Format(format, arguments);
  va_end(arguments);
  report_(report_user_, message.text());
}

void StaticRunner::ReportError(tflm::Context* context, const char* format, ...) {
  const StaticRunner& runner = *reinterpret_cast<OpContext*>(context)->runner;
  if (!runner.report_) return;
  Message message;
  va_list arguments;
  va_start(arguments, format);
  message.Format(format, arguments);
  va_end(arguments);
  runner.report_(runner.report_user_, message.text());
}

tflm::EvalTensor* StaticRunner::GetEvalTensor(const tflm::Context* context, int tensor) {
  const StaticRunner& runner = *reinterpret_cast<const OpContext*>(context)->runner;
  if (tensor < 0 || tensor >= runner.model_->tensor_count) return nullptr;
  return &runner.tensors_[tensor];
}

}  // namespace medyate
