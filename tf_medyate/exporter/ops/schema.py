"""The one description of our custom ops: names, options, tensors, and the selection variable.

Python packs options with it, and the C++ header `tflm_ops/schema/op_options.h` is generated
from it, so the two sides cannot disagree:

    python -m tf_medyate.exporter.ops.header

Example:
    >>> from tf_medyate.exporter.ops import schema
    >>> options = schema.DENSE.options.pack(inputs=8, units=4)
    >>> schema.DENSE.options.unpack(options)["units"]
    4

`words` says what lies in the variables, `option_structs` what the options are, `int8_schema` what
there is for int8 values, `elementwise_schema` the activation functions and what joins two tensors,
`frozen_schema` normalizations, `adam_schema` what Adam does instead of SGD.
"""

from tf_medyate.exporter.ops.adam_schema import (
    ADAM_OPS,
    ADAM_RATE,
    ADAM_RATES,
    CONV_2D_ADAM,
    CONV_2D_TRANSPOSE_ADAM,
    DENSE_ADAM,
    DEPTHWISE_CONV_2D_ADAM,
)
from tf_medyate.exporter.ops.elementwise_schema import ELEMENTWISE_OPS
from tf_medyate.exporter.ops.frozen_schema import FROZEN_OPS
from tf_medyate.exporter.ops.int8_schema import INT8_OPS
from tf_medyate.exporter.ops.option_structs import (
    CONCATENATION_OPTIONS,
    CONTROL_OPTIONS,
    CONV_2D_OPTIONS,
    CONV_DEPTHWISE_OPTIONS,
    COPY_SIDES,
    DENSE_OPTIONS,
    ELEMENTS_OPTIONS,
    GATE_OPTIONS,
    LOSS_OPTIONS,
    PAD_OPTIONS,
    POOL_OPTIONS,
    STASH_OPTIONS,
    STRIDED_COPY_OPTIONS,
)
from tf_medyate.exporter.ops.structs import VERSION, Field, OpSpec, OptionsStruct
from tf_medyate.exporter.ops.words import (
    CORRECTION_WORDS,
    DRAWN_ANEW,
    MAX_CHANNELS,
    NO_BIAS_RUN,
    NO_IMPORTANCE,
    NO_STEPS,
    REGISTER_FUNCTION,
    SELECTION_HEADER_WORDS,
    SHARPNESSES,
    STATE_WORDS,
    UNSEEN,
    Activation,
    AdamWord,
    Command,
    ImportanceRule,
    LayoutWord,
    LossKind,
    LossWord,
    OptimizerWord,
    Sharpness,
    StateWord,
    Weighting,
)

__all__ = [
    "ACTIVATION",
    "ADAM_RATE",
    "ADAM_RATES",
    "ADD",
    "AVERAGE_POOL_2D",
    "AVERAGE_POOL_2D_GRADIENT",
    "CONCATENATION",
    "CONCATENATION_GRADIENT",
    "CONTROL",
    "CONV_2D",
    "CONV_2D_ADAM",
    "CONV_2D_INPUT_GRADIENT",
    "CONV_2D_TRANSPOSE",
    "CONV_2D_TRANSPOSE_ADAM",
    "CONV_2D_TRANSPOSE_INPUT_GRADIENT",
    "CONV_2D_TRANSPOSE_UPDATE",
    "CONV_2D_UPDATE",
    "CONV_DEPTHWISE",
    "COPY_SIDES",
    "CORRECTION_WORDS",
    "DENSE",
    "DENSE_ADAM",
    "DENSE_INPUT_GRADIENT",
    "DENSE_UPDATE",
    "DEPTHWISE_CONV_2D",
    "DEPTHWISE_CONV_2D_ADAM",
    "DEPTHWISE_CONV_2D_INPUT_GRADIENT",
    "DEPTHWISE_CONV_2D_UPDATE",
    "DRAWN_ANEW",
    "GATE_GRADIENT",
    "HUBER",
    "MAX_CHANNELS",
    "MAX_POOL_2D",
    "MAX_POOL_2D_GRADIENT",
    "MEAN_ABSOLUTE_ERROR",
    "MEAN_SQUARED_ERROR",
    "NO_BIAS_RUN",
    "NO_IMPORTANCE",
    "NO_STEPS",
    "OPS",
    "PAD",
    "PAD_GRADIENT",
    "REGISTER_FUNCTION",
    "SELECTION_HEADER_WORDS",
    "SHARPNESSES",
    "SIGMOID_CROSS_ENTROPY",
    "SOFTMAX_CROSS_ENTROPY",
    "STASH",
    "STATE_WORDS",
    "STRIDED_COPY",
    "STRIDED_COPY_GRADIENT",
    "SUM_OF_LOSSES",
    "TRANSPOSE_OPS",
    "UNSEEN",
    "VERSION",
    "Activation",
    "AdamWord",
    "Command",
    "Field",
    "ImportanceRule",
    "LayoutWord",
    "LossKind",
    "LossWord",
    "OpSpec",
    "OptimizerWord",
    "OptionsStruct",
    "Sharpness",
    "StateWord",
    "Weighting",
    "control_scratch_bytes",
    "conv_depthwise_rows",
    "selection_words",
]

_FORWARD_INPUTS = ("input", "weights", "bias or -1", "[pool]", "[selection]")
_FORWARD_OUTPUTS = ("output", "[gates]")
_FORWARD = (
    "Frozen with 3 inputs, trainable with 5: then the pool has the drawn channels' weights, and "
    "the bias if bias_offset is not -1. Gates [bytes] (uint8) if keeps_gates."
)
_GRADIENT_INPUTS = ("output_gradient", "weights", "command", "[pool]", "[selection]")
_UPDATE_INPUTS = (
    "output_gradient",
    "pool",
    "selection",
    "learning_rate",
    "command",
    "importance or -1",
    "optimizer",
)
_UPDATE = (
    "Refreshes the drawn channels' importance; SGD on their weights, then on the bias. The "
    "scratch takes the gradients of as many channels at a time as it has room for, at least one "
    "(multiples of 4 are fastest), and before or after that the bias's."
)

_LOSS = (
    "Fails on a loss that is not finite: no update runs. Else it counts the sample in the "
    "selection's state and sets what gradients are multiplied by. 0 for commands without a label. "
    "Class weights [classes] are constants, for losses of classes."
)

CONV_2D = OpSpec(
    "Conv2d",
    "MEDYATE_CONV_2D",
    CONV_2D_OPTIONS,
    _FORWARD_INPUTS,
    _FORWARD_OUTPUTS,
    "Weights [I][KH][KW][O]. " + _FORWARD,
)
CONV_2D_INPUT_GRADIENT = OpSpec(
    "Conv2dInputGradient",
    "MEDYATE_CONV_2D_INPUT_GRADIENT",
    CONV_2D_OPTIONS,
    _GRADIENT_INPUTS,
    ("input_gradient",),
    "Through the weights, with 5 inputs through the pool's for drawn channels.",
)
CONV_2D_UPDATE = OpSpec(
    "Conv2dUpdate", "MEDYATE_CONV_2D_UPDATE", CONV_2D_OPTIONS, _UPDATE_INPUTS, ("scratch",), _UPDATE
)
DEPTHWISE_CONV_2D = OpSpec(
    "DepthwiseConv2d",
    "MEDYATE_DEPTHWISE_CONV_2D",
    CONV_2D_OPTIONS,
    _FORWARD_INPUTS,
    _FORWARD_OUTPUTS,
    "Weights [I][KH][KW][M], with output_channels = I * M. " + _FORWARD,
)
DEPTHWISE_CONV_2D_INPUT_GRADIENT = OpSpec(
    "DepthwiseConv2dInputGradient",
    "MEDYATE_DEPTHWISE_CONV_2D_INPUT_GRADIENT",
    CONV_2D_OPTIONS,
    _GRADIENT_INPUTS,
    ("input_gradient",),
    "Through the weights, with 5 inputs through the pool's for drawn channels.",
)
DEPTHWISE_CONV_2D_UPDATE = OpSpec(
    "DepthwiseConv2dUpdate",
    "MEDYATE_DEPTHWISE_CONV_2D_UPDATE",
    CONV_2D_OPTIONS,
    _UPDATE_INPUTS,
    ("scratch",),
    _UPDATE,
)
CONV_2D_TRANSPOSE = OpSpec(
    "Conv2dTranspose",
    "MEDYATE_CONV_2D_TRANSPOSE",
    CONV_2D_OPTIONS,
    _FORWARD_INPUTS,
    _FORWARD_OUTPUTS,
    "Weights [I][KH][KW][O]; stride, dilation and padding are those of the convolution from output "
    "to input that it transposes. " + _FORWARD,
)
CONV_2D_TRANSPOSE_INPUT_GRADIENT = OpSpec(
    "Conv2dTransposeInputGradient",
    "MEDYATE_CONV_2D_TRANSPOSE_INPUT_GRADIENT",
    CONV_2D_OPTIONS,
    _GRADIENT_INPUTS,
    ("input_gradient",),
    "As of CONV_2D.",
)
CONV_2D_TRANSPOSE_UPDATE = OpSpec(
    "Conv2dTransposeUpdate",
    "MEDYATE_CONV_2D_TRANSPOSE_UPDATE",
    CONV_2D_OPTIONS,
    _UPDATE_INPUTS,
    ("scratch",),
    _UPDATE,
)
CONV_DEPTHWISE = OpSpec(
    "ConvDepthwise",
    "MEDYATE_CONV_DEPTHWISE",
    CONV_DEPTHWISE_OPTIONS,
    (
        "input",
        "conv_weights",
        "conv_bias or -1",
        "depthwise_weights",
        "depthwise_bias or -1",
    ),
    ("output", "rows"),
    "A frozen convolution and the frozen depthwise one after it, bit for bit, without the map "
    "between them: rows [conv_depthwise_rows(), middle width, middle channels] (scratch) holds "
    "what one output row needs.",
)
DENSE = OpSpec(
    "Dense",
    "MEDYATE_DENSE",
    DENSE_OPTIONS,
    _FORWARD_INPUTS,
    _FORWARD_OUTPUTS,
    "Weights [I][O]; reads an input of any shape with I elements. " + _FORWARD,
)
DENSE_INPUT_GRADIENT = OpSpec(
    "DenseInputGradient",
    "MEDYATE_DENSE_INPUT_GRADIENT",
    DENSE_OPTIONS,
    _GRADIENT_INPUTS,
    ("input_gradient",),
    "As of CONV_2D; any shape with I elements.",
)
DENSE_UPDATE = OpSpec(
    "DenseUpdate", "MEDYATE_DENSE_UPDATE", DENSE_OPTIONS, _UPDATE_INPUTS, ("scratch",), _UPDATE
)
STASH = OpSpec(
    "Stash",
    "MEDYATE_STASH",
    STASH_OPTIONS,
    ("input", "pool", "selection", "command"),
    (),
    "Keeps the drawn channels of a layer's input, for its update.",
)
GATE_GRADIENT = OpSpec(
    "GateGradient",
    "MEDYATE_GATE_GRADIENT",
    GATE_OPTIONS,
    ("gates", "output_gradient", "command"),
    ("input_gradient",),
    "Gradient through a fused activation; input_gradient may lie where output_gradient does.",
    "gate",
)


def _loss(key: str, name: str, label: str, meaning: str) -> OpSpec:
    inputs = ("outputs", label, "command", "[selection]", "[class_weights]")
    return OpSpec(key, name, LOSS_OPTIONS, inputs, ("loss", "gradient"), f"{meaning} {_LOSS}")


SOFTMAX_CROSS_ENTROPY = _loss(
    "SoftmaxCrossEntropy",
    "MEDYATE_SOFTMAX_CROSS_ENTROPY",
    "label",
    "Outputs are logits, the label [1] (int32) is a class. Fails on a bad one.",
)
SIGMOID_CROSS_ENTROPY = _loss(
    "SigmoidCrossEntropy",
    "MEDYATE_SIGMOID_CROSS_ENTROPY",
    "target",
    "Outputs are logits, targets [elements] lie in 0 .. 1. Fails on others. One alone has classes, "
    "0 up to 0.5 and 1 above.",
)
MEAN_SQUARED_ERROR = _loss(
    "MeanSquaredError", "MEDYATE_MEAN_SQUARED_ERROR", "target", "Targets [elements] (float32)."
)
MEAN_ABSOLUTE_ERROR = _loss(
    "MeanAbsoluteError", "MEDYATE_MEAN_ABSOLUTE_ERROR", "target", "Targets [elements] (float32)."
)
HUBER = _loss("Huber", "MEDYATE_HUBER", "target", "Targets [elements] (float32).")
SUM_OF_LOSSES = OpSpec(
    "SumOfLosses",
    "MEDYATE_SUM_OF_LOSSES",
    ELEMENTS_OPTIONS,
    ("outputs", "target", "command", "selection", "table"),
    ("loss", "gradient"),
    "Of several outputs, one after the other: the weighted sum of a loss each, as the constant "
    "table [losses, words] says (float32, see LossWord). Targets [elements] (float32); classes are "
    "one-hot rows. Fails as the losses do.",
)
ACTIVATION = OpSpec(
    "Activation",
    "MEDYATE_ACTIVATION",
    GATE_OPTIONS,
    ("input",),
    ("output", "[gates]"),
    "An activation on its own, not NONE; output may lie where input does. Gates if keeps_gates.",
    "activation",
)
MAX_POOL_2D = OpSpec(
    "MaxPool2d",
    "MEDYATE_MAX_POOL_2D",
    POOL_OPTIONS,
    ("input",),
    ("output", "[choices]"),
    "Choices [bytes] (uint8) if keeps_choices.",
    "pool",
)
MAX_POOL_2D_GRADIENT = OpSpec(
    "MaxPool2dGradient",
    "MEDYATE_MAX_POOL_2D_GRADIENT",
    POOL_OPTIONS,
    ("choices", "output_gradient", "command"),
    ("input_gradient",),
    "With keeps_choices 1.",
    "pool",
)
AVERAGE_POOL_2D = OpSpec(
    "AveragePool2d",
    "MEDYATE_AVERAGE_POOL_2D",
    POOL_OPTIONS,
    ("input",),
    ("output",),
    "Keeps no choices. Padding is not counted.",
    "pool",
)
AVERAGE_POOL_2D_GRADIENT = OpSpec(
    "AveragePool2dGradient",
    "MEDYATE_AVERAGE_POOL_2D_GRADIENT",
    POOL_OPTIONS,
    ("output_gradient", "command"),
    ("input_gradient",),
    "Keeps no choices.",
    "pool",
)
ADD = OpSpec(
    "Add",
    "MEDYATE_ADD",
    ELEMENTS_OPTIONS,
    ("a", "b", "[command]"),
    ("sum",),
    "As many elements each; the sum may lie where a or b does. With a command it adds gradients.",
    "add",
)
CONCATENATION = OpSpec(
    "Concatenation",
    "MEDYATE_CONCATENATION",
    CONCATENATION_OPTIONS,
    ("input ...",),
    ("output",),
    "Two inputs or more. The options are the first input's; the others follow from their sizes.",
    "add",
)
CONCATENATION_GRADIENT = OpSpec(
    "ConcatenationGradient",
    "MEDYATE_CONCATENATION_GRADIENT",
    CONCATENATION_OPTIONS,
    ("output_gradient", "command"),
    ("input_gradient",),
    "The part of one input, the one that the options describe.",
    "add",
)
PAD = OpSpec(
    "Pad", "MEDYATE_PAD", PAD_OPTIONS, ("input",), ("output",), "Zeros around every channel.", "add"
)
PAD_GRADIENT = OpSpec(
    "PadGradient",
    "MEDYATE_PAD_GRADIENT",
    PAD_OPTIONS,
    ("output_gradient", "command"),
    ("input_gradient",),
    "The inner part.",
    "add",
)
STRIDED_COPY = OpSpec(
    "StridedCopy",
    "MEDYATE_STRIDED_COPY",
    STRIDED_COPY_OPTIONS,
    ("input",),
    ("output",),
    "Elements in another order, some of them, or some repeatedly.",
    "add",
)
STRIDED_COPY_GRADIENT = OpSpec(
    "StridedCopyGradient",
    "MEDYATE_STRIDED_COPY_GRADIENT",
    STRIDED_COPY_OPTIONS,
    ("output_gradient", "command"),
    ("input_gradient",),
    "Each element's copies together.",
    "add",
)
CONTROL = OpSpec(
    "Control",
    "MEDYATE_CONTROL",
    CONTROL_OPTIONS,
    (
        "sample",
        "label",
        "learning_rate",
        "command",
        "pool",
        "selection",
        "layout",
        "importance or -1",
        "prior or -1",
        "weights, bias or -1 ...",
    ),
    ("scratch",),
    "The first op: checks the inputs before anything is written, then draws, drops or counts. "
    "Layout [layers, words] (int32, see LayoutWord); its layers' weights and, if trained, their "
    "biases, from which the pool is loaded. Scratch (uint8) of control_scratch_bytes().",
)

TRANSPOSE_OPS = (
    CONV_2D_TRANSPOSE,
    CONV_2D_TRANSPOSE_INPUT_GRADIENT,
    CONV_2D_TRANSPOSE_UPDATE,
    CONV_2D_TRANSPOSE_ADAM,
)

OPS = (
    CONTROL,
    CONV_2D,
    STASH,
    CONV_2D_INPUT_GRADIENT,
    CONV_2D_UPDATE,
    DEPTHWISE_CONV_2D,
    DEPTHWISE_CONV_2D_INPUT_GRADIENT,
    DEPTHWISE_CONV_2D_UPDATE,
    CONV_DEPTHWISE,
    *(op for op in TRANSPOSE_OPS if op not in ADAM_OPS),
    DENSE,
    DENSE_INPUT_GRADIENT,
    DENSE_UPDATE,
    ACTIVATION,
    GATE_GRADIENT,
    MAX_POOL_2D,
    MAX_POOL_2D_GRADIENT,
    AVERAGE_POOL_2D,
    AVERAGE_POOL_2D_GRADIENT,
    ADD,
    CONCATENATION,
    CONCATENATION_GRADIENT,
    PAD,
    PAD_GRADIENT,
    STRIDED_COPY,
    STRIDED_COPY_GRADIENT,
    SOFTMAX_CROSS_ENTROPY,
    SIGMOID_CROSS_ENTROPY,
    MEAN_SQUARED_ERROR,
    MEAN_ABSOLUTE_ERROR,
    HUBER,
    SUM_OF_LOSSES,
    *ADAM_OPS,
    *ELEMENTWISE_OPS,
    *FROZEN_OPS,
    *INT8_OPS,
)


def selection_words(capacity: int) -> int:
    """Words of a layer's slot with room for `capacity` channels."""
    return SELECTION_HEADER_WORDS + (capacity + 1) // 2


def conv_depthwise_rows(middle_height: int, kernel_height: int, dilation: int) -> int:
    """Rows between the two halves of CONV_DEPTHWISE that one output row can need."""
    return min(middle_height, (kernel_height - 1) * dilation + 1)


def control_scratch_bytes(candidates: int, layers: int) -> int:
    """Bytes that the control op's scratch needs: keys, candidate layers, order, chosen bits.

    Args:
        candidates: Channels that can be drawn, of all layers together.
        layers: Layers that they belong to.
    """
    return max(1, 4 * candidates + 8 * layers + 2 * candidates + (candidates + 7) // 8)
