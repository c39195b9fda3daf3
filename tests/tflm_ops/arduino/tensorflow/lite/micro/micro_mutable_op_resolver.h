#ifndef TESTS_ARDUINO_TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_
#define TESTS_ARDUINO_TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_

#include <string.h>

#include "tensorflow/lite/micro/micro_common.h"

// The built-in ops that TFLM's own has a method for, at the commit of tflm_abi.h.
#define MEDYATE_EVERY_BUILTIN(op)                                                                  \
  op(Abs) op(Add) op(AddN) op(ArgMax) op(ArgMin) op(AssignVariable) op(AveragePool2D) op(          \
      BatchMatMul) op(BatchToSpaceNd) op(BroadcastArgs) op(BroadcastTo) op(CallOnce) op(Cast)      \
      op(Ceil) op(Concatenation) op(Conv2D) op(Cos) op(CumSum) op(DepthToSpace) op(                \
          DepthwiseConv2D) op(Dequantize) op(Div) op(DynamicUpdateSlice) op(Elu)                   \
          op(EmbeddingLookup) op(Equal) op(Exp) op(ExpandDims) op(Fill) op(Floor) op(FloorDiv) op( \
              FloorMod) op(FullyConnected) op(Gather) op(GatherNd) op(Greater) op(GreaterEqual)    \
              op(HardSwish) op(If) op(L2Normalization) op(L2Pool2D) op(LeakyRelu) op(Less)         \
                  op(LessEqual) op(Log) op(LogSoftmax) op(LogicalAnd) op(LogicalNot) op(LogicalOr) \
                      op(Logistic) op(MaxPool2D) op(Maximum) op(Mean) op(Minimum) op(MirrorPad)    \
                          op(Mul) op(Neg) op(NotEqual) op(Pack) op(Pad) op(PadV2) op(Prelu) op(    \
                              Quantize) op(ReadVariable) op(ReduceAll) op(ReduceMax) op(ReduceMin) \
                              op(Relu) op(Relu6) op(Reshape) op(ResizeBilinear)                    \
                                  op(ResizeNearestNeighbor) op(ReverseV2) op(Round) op(Rsqrt)      \
                                      op(SelectV2) op(Shape) op(Sin) op(Slice) op(Softmax)         \
                                          op(SpaceToBatchNd) op(SpaceToDepth) op(Split) op(SplitV) \
                                              op(Sqrt) op(Square) op(SquaredDifference)            \
                                                  op(Squeeze) op(StridedSlice) op(Sub) op(Sum)     \
                                                      op(Svdf) op(Tanh) op(Transpose)              \
                                                          op(TransposeConv)                        \
                                                              op(UnidirectionalSequenceLSTM)       \
                                                                  op(Unpack) op(VarHandle)         \
                                                                      op(While) op(ZerosLike)

namespace tflite {

// Keeps up to N ops, each once.
template <unsigned N>
class MicroMutableOpResolver {
 public:
  TfLiteStatus AddCustom(const char* name, const TFLMRegistration* registration) {
    if (count == N) return kTfLiteError;
    for (unsigned i = 0; i < count; ++i) {
      if (strcmp(ops[i].custom_name, name) == 0) return kTfLiteError;
    }
    ops[count] = *registration;
    ops[count++].custom_name = name;
    return kTfLiteOk;
  }

#define MEDYATE_METHOD(Name)                         \
  TfLiteStatus Add##Name() {                         \
    static const TFLMRegistration registration = {}; \
    return AddCustom(#Name, &registration);          \
  }
  MEDYATE_EVERY_BUILTIN(MEDYATE_METHOD)
#undef MEDYATE_METHOD

  TFLMRegistration ops[N];
  unsigned count = 0;
};

}  // namespace tflite

#endif  // TESTS_ARDUINO_TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_
