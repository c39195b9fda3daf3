#ifndef TFLM_OPS_KERNELS_BINARY_H_
#define TFLM_OPS_KERNELS_BINARY_H_

// Ops on two tensors element by element, either repeated along sides that it lacks, and the
// gradient of one of the two. Each is a registration of its own: what a model does not use is not
// linked.

#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"
#include "tflm_ops/math/broadcast.h"

namespace medyate {

// Checks all of a forward op; the names are those of schema.py.
bool RequireBinary(const OpCall& call);

// Checks all of a gradient. Inputs: output_gradient, command, and a and b, or -1 for both if
// the gradient `needs` neither.
bool RequireBinaryGradient(const OpCall& call, bool needs);

// What the options of an op that was checked say.
math::BroadcastShape ShapeOf(const BroadcastOptions& options);

// Whether a gradient has something to do.
bool IsTrainingBinary(const OpCall& call);

template <const char* kName, void (*kForward)(const math::BroadcastShape& shape, const float* a,
                                              const float* b, float* y)>
struct Binary {
  static tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    MEDYATE_CHECK(RequireBinary(call));
    return tflm::kOk;
  }

  static tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    BroadcastOptions options;
    MEDYATE_CHECK(call.Read(&options));
    kForward(ShapeOf(options), call.InputData<const float>(0), call.InputData<const float>(1),
             call.OutputData<float>(0));
    return tflm::kOk;
  }

  static tflm::Registration Register() { return MakeRegistration(kName, Prepare, Eval); }
};

template <const char* kName, bool kNeedsOperands,
          void (*kBackward)(const math::BroadcastShape& shape, bool of_b, const float* a,
                            const float* b, const float* dy, float* dx)>
struct BinaryGradient {
  static tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    MEDYATE_CHECK(RequireBinaryGradient(call, kNeedsOperands));
    return tflm::kOk;
  }

  static tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    if (!IsTrainingBinary(call)) return tflm::kOk;
    BroadcastOptions options;
    MEDYATE_CHECK(call.Read(&options));
    kBackward(ShapeOf(options), options.operand == 1, call.InputData<const float>(2),
              call.InputData<const float>(3), call.InputData<const float>(0),
              call.OutputData<float>(0));
    return tflm::kOk;
  }

  static tflm::Registration Register() { return MakeRegistration(kName, Prepare, Eval); }
};

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_BINARY_H_
