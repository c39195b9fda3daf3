#ifndef TFLM_OPS_KERNELS_UNARY_H_
#define TFLM_OPS_KERNELS_UNARY_H_

// Ops that compute a tensor from one of the same size, and their gradients from what the op read or
// gave. Each is a registration of its own: what a model does not use is not linked.

#include "tflm_ops/kernels/layer.h"
#include "tflm_ops/kernels/op_call.h"
#include "tflm_ops/kernels/ops.h"

namespace medyate {

// Inputs of a gradient.
enum UnaryGradientInput { kKept, kUnaryGradient, kUnaryCommand, kUnaryGradientInputs };

// One input and one output of as many elements.
bool RequireUnary(const OpCall& call);

// What the op read or gave, the gradient, the command; one output of as many elements.
bool RequireUnaryGradient(const OpCall& call);

// What options say beyond their version; n is the number of elements.
inline bool RequireUnaryOptions(const OpCall&, const ElementsOptions&, int) { return true; }
bool RequireUnaryOptions(const OpCall& call, const ReluOptions& options, int n);
bool RequireUnaryOptions(const OpCall& call, const EluOptions& options, int n);
bool RequireUnaryOptions(const OpCall& call, const SoftmaxOptions& options, int n);

// Functions of math without parameters, as the templates below call them.
template <void (*kForward)(const float* x, int n, float* y)>
void PlainForward(const ElementsOptions&, const float* x, int n, float* y) {
  kForward(x, n, y);
}

template <void (*kBackward)(const float* kept, const float* dy, int n, float* dx)>
void PlainBackward(const ElementsOptions&, const float* kept, const float* dy, int n, float* dx) {
  kBackward(kept, dy, n, dx);
}

template <const char* kName, typename Options,
          void (*kForward)(const Options& options, const float* x, int n, float* y)>
struct Unary {
  static tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    Options options;
    MEDYATE_CHECK(call.Read(&options));
    MEDYATE_CHECK(RequireUnary(call));
    MEDYATE_CHECK(RequireUnaryOptions(call, options, Elements(*call.Input(0))));
    return tflm::kOk;
  }

  static tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    Options options;
    MEDYATE_CHECK(call.Read(&options));
    kForward(options, call.InputData<const float>(0), Elements(*call.Input(0)),
             call.OutputData<float>(0));
    return tflm::kOk;
  }

  static tflm::Registration Register() { return MakeRegistration(kName, Prepare, Eval); }
};

template <const char* kName, typename Options,
          void (*kBackward)(const Options& options, const float* kept, const float* dy, int n,
                            float* dx)>
struct UnaryGradient {
  static tflm::Status Prepare(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    Options options;
    MEDYATE_CHECK(call.Read(&options));
    MEDYATE_CHECK(RequireUnaryGradient(call));
    MEDYATE_CHECK(RequireUnaryOptions(call, options, Elements(*call.Input(kKept))));
    return tflm::kOk;
  }

  static tflm::Status Eval(tflm::Context* context, tflm::Node* node) {
    const OpCall call(kName, context, node);
    if (!IsTraining(call, kUnaryCommand)) return tflm::kOk;
    Options options;
    MEDYATE_CHECK(call.Read(&options));
    kBackward(options, call.InputData<const float>(kKept),
              call.InputData<const float>(kUnaryGradient), Elements(*call.Input(kKept)),
              call.OutputData<float>(0));
    return tflm::kOk;
  }

  static tflm::Registration Register() { return MakeRegistration(kName, Prepare, Eval); }
};

}  // namespace medyate

#endif  // TFLM_OPS_KERNELS_UNARY_H_
