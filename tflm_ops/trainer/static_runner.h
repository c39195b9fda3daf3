#ifndef TFLM_OPS_TRAINER_STATIC_RUNNER_H_
#define TFLM_OPS_TRAINER_STATIC_RUNNER_H_

// Runs the ops of a StaticModel as TFLM's interpreter would: the same object code on the same
// bytes, so the same bits. No heap, no flatbuffer; of the arena it takes a tflm::EvalTensor a
// tensor, after what the model describes.

#include <stddef.h>
#include <stdint.h>

#include "tflm_ops/kernels/tflm_abi.h"
#include "tflm_ops/trainer/static_model.h"

namespace medyate {

enum class RunnerStatus : uint8_t {
  kOk,
  kNotInitialized,   // Init was not called, or failed.
  kNoArena,          // The arena is null.
  kArenaNotAligned,  // The arena must begin at a multiple of kArenaAlignment.
  kArenaTooSmall,    // StaticRunner::ArenaBytes says what is needed.
  kBadModel,         // A number of a tensor, or a place in the arena, is out of range.
  kPrepareFailed,    // An op does not accept its options or tensors; it has reported why.
  kInvokeFailed,     // An op reported an error; failed_node() is its number.
};

// The status in words, as in "kArenaTooSmall".
const char* RunnerStatusName(RunnerStatus status);

constexpr size_t kArenaAlignment = 16;

// Receives what ops report, without a newline; longer messages are cut at kReportBytes.
typedef void (*ReportFunction)(void* user, const char* text);
constexpr size_t kReportBytes = 160;

class StaticRunner {
 public:
  StaticRunner() = default;
  StaticRunner(const StaticRunner&) = delete;
  StaticRunner& operator=(const StaticRunner&) = delete;

  // Bytes of the arena that a model needs.
  static size_t ArenaBytes(const StaticModel& model);

  // Where reports go; may be called before Init. Null: nowhere.
  void SetReport(ReportFunction report, void* user) {
    report_ = report;
    report_user_ = user;
  }

  // Places the tensors, makes the variables 0, and has every op check what it was given.
  //
  // Args:
  //   model: must outlive the runner.
  //   arena: likewise, `arena_bytes` bytes of any content, aligned to kArenaAlignment.
  //   weights: [model.weights_floats], what to use for the weights region; null for the model's.
  RunnerStatus Init(const StaticModel& model, void* arena, size_t arena_bytes,
                    const float* weights);

  // Runs the ops in order, up to the first that reports an error. As in TFLM, inputs share their
  // memory with what comes later: set every input before every call.
  RunnerStatus Invoke() { return InvokeFirst(model_ ? model_->node_count : 0); }

  // Runs the first `nodes` ops alone.
  RunnerStatus InvokeFirst(int nodes);

  // A tensor's data; null if there is no such tensor.
  void* Data(int tensor) const;

  // Elements of a tensor; 0 if there is no such tensor.
  int Elements(int tensor) const;

  // The op that ended the last Init or Invoke; -1 if none did.
  int failed_node() const { return failed_node_; }

  // Reports a message of the caller's own; knows %d, %u and %s.
  __attribute__((format(printf, 2, 3))) void Report(const char* format, ...);

 private:
  // What an op is handed: it gives the context back, and we find the runner behind it.
  struct OpContext {
    tflm::Context context;
    StaticRunner* runner;
  };

  static void ReportError(tflm::Context* context, const char* format, ...);
  static tflm::EvalTensor* GetEvalTensor(const tflm::Context* context, int tensor);

  void PlaceTensors(uint8_t* arena, const float* weights);
  RunnerStatus PrepareNodes();
  RunnerStatus Fail(RunnerStatus status);

  const StaticModel* model_ = nullptr;  // Null until Init has succeeded.
  tflm::EvalTensor* tensors_ = nullptr;
  OpContext context_ = {};
  ReportFunction report_ = nullptr;
  void* report_user_ = nullptr;
  int failed_node_ = -1;
};

}  // namespace medyate

#endif  // TFLM_OPS_TRAINER_STATIC_RUNNER_H_
