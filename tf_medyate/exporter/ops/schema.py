"""The one description of our custom ops: names, options, tensors, and the selection variable.

Python packs options with it, and the C++ header `tflm_ops/schema/op_options.h` is generated
from it, so the two sides cannot disagree:

    python -m tf_medyate.exporter.ops.header

Example:
    >>> from tf_medyate.exporter.ops import schema
    >>> options = schema.DENSE.options.pack(inputs=8, units=4)
    >>> schema.DENSE.options.unpack(options)["units"]
    4

The selection variable (int32) begins with `STATE_WORDS` words of state, see `StateWord`. Then every
trained layer owns a slot of `selection_words(capacity)` words, from the option `selection_offset`
on, which says which of its channels are drawn:

    word 0      number of drawn channels N, 0 to capacity
    word 1      where the layer's run begins in the pool, in elements
    word 2 ...  the drawn channels, rising, two to a word: the first in the low 16 bits

The run in the pool (float32) holds, one behind the other,

    deltas        [N][kernel position][output]
    accumulators  the same, if the option `accumulates` is 1
    velocities    the same, if the option `has_velocity` is 1
    stash         [N][input position]

A trained bias's delta, accumulator and velocity lie in the pool at the option `bias_offset`,
whatever is drawn. The pool begins with what every draw trains, the runs of heads and the biases;
behind that lie the drawn layers' runs, one behind the other in execution order.

The importance variable (float32) holds the norm of the gradient of each channel that can be drawn,
layer after layer; a layer's part begins at the option `importance_offset`. With the rule DRAW_MEAN
it is the mean over the samples since the channel was drawn (MeDyate, 2510.20979, Algorithm 1), with
RUNNING_MEAN a running mean. UNSEEN stands for a channel that was never trained. A draw in which all
are unseen is uniform; one in which some are gives these the largest norm seen, first.
"""

import enum

from tf_medyate.exporter.ops.structs import VERSION, Field, Op, OptionsStruct

REGISTER_FUNCTION = "RegisterMedyateOps"
"""The plug-in's function that hands all ops to TFLM's resolver."""

SELECTION_HEADER_WORDS = 2
MAX_CHANNELS = 65535
"""Channels are stored in 16 bits."""

NO_BIAS_DELTA = -1
"""`bias_offset` of a layer whose bias stays as it is."""

NO_IMPORTANCE = -1
"""`importance_offset` of a layer whose channels are not drawn by importance."""

DRAWN_ANEW = -1
"""`LayoutWord.RUN_OFFSET` of a layer whose channels are drawn; a head's run never moves."""

UNSEEN = -1.0
"""Importance of a channel that was never trained."""

NO_STEPS = -1
"""`StateWord.STEPS` where importance is a running mean."""

IMPORTANCE_RATE = 0.1
"""Weight of the newest step in the running mean of importance; 1 - state.IMPORTANCE_MOMENTUM."""


class Activation(enum.IntEnum):
    """Activation fused into a layer. All but NONE write a gate tensor, one bit an element."""

    NONE = 0
    RELU = 1
    RELU6 = 2
    LEAKY_RELU = 3


class Command(enum.IntEnum):
    """What one Invoke does. Training ops return early where they have nothing to do.

    PREDICT     logits alone
    STEP        one sample's gradient, with what was accumulated before, applied
    ACCUMULATE  one sample's gradient added to the accumulators
    APPLY       what was accumulated, applied: the end of a batch that came up short
    DRAW        the next draw: deltas, accumulators and drawn velocities start anew
    COMMIT      the deltas were added to the base weights: they are 0 again, all else stays
    DISCARD     the deltas are dropped, and accumulators and velocities with them
    """

    PREDICT = 0
    STEP = 1
    ACCUMULATE = 2
    APPLY = 3
    DRAW = 4
    COMMIT = 5
    DISCARD = 6


class StateWord(enum.IntEnum):
    """The first words of the selection variable. TFLM starts it as zeros."""

    INITIALISED = 0  # 0 until the first Invoke has copied the prior and drawn
    DRAW = 1  # number of the draw in force
    ACCUMULATED = 2  # samples in the accumulators
    GRADIENT_SCALE = 3  # float: what the update multiplies gradients by
    STEPS = 4  # samples since the draw; NO_STEPS where importance is a running mean


STATE_WORDS = len(StateWord)


class LayoutWord(enum.IntEnum):
    """The columns of the control op's layout, one row for each trained layer, int32.

    Kept layers come first, in execution order, then heads.
    """

    CHANNELS = 0  # input channels
    CHANNEL_COST = 1  # of one channel, in the budget's unit
    WEIGHTS = 2  # weights of one channel
    STASH = 3  # input positions of one channel
    SELECTION_OFFSET = 4
    SELECTION_CAPACITY = 5
    RUN_OFFSET = 6  # of a head's run; DRAWN_ANEW
    BIAS_OFFSET = 7  # as the layer's option
    BIASES = 8  # elements of the bias if it is trained, or 0


class OptimizerWord(enum.IntEnum):
    """The update ops' constant `optimizer`, float32, the arithmetic of keras.optimizers.SGD."""

    MOMENTUM = 0
    NESTEROV = 1  # 0 or 1
    WEIGHT_DECAY = 2
    CLIP_VALUE = 3  # largest magnitude of an element of the gradient; 0: any


class ImportanceRule(enum.IntEnum):
    """How a channel's importance follows from the norms of its gradients."""

    RUNNING_MEAN = 0
    DRAW_MEAN = 1


class Weighting(enum.IntEnum):
    """A channel's strength in the draw, as in tf_medyate/select/sampling.py."""

    NORM = 0
    RGN = 1
    UNIFORM = 2


SHARPNESSES = (0.5, 1, 2)
"""Powers of the weights, by their number in `ControlOptions.sharpness`."""


def _channels(name: str, meaning: str = "1 to kMaxChannels") -> Field:
    return Field(name, "int32_t", meaning, limits=(1, MAX_CHANNELS))


def _sides(name: str, meaning: str, most: int = 65535) -> Field:
    """A height and a width."""
    return Field(name, "int32_t", meaning, count=2, limits=(1, most))


_VERSION = Field("version", "uint32_t", "kOptionsVersion", default=VERSION)
_ACTIVATION = (
    Field("activation", "int32_t", "an Activation", default=0),
    Field("negative_slope", "float", "LeakyReLU's; 0 for the others", default=0.0),
)
_GATES = Field("keeps_gates", "int32_t", "1: the op writes the gates; 0: it does not", default=0)
_SLOT = (
    Field("selection_offset", "int32_t", "first word of the layer's slot", default=0),
    Field("selection_capacity", "int32_t", "channels the slot has room for", default=0),
    Field("accumulates", "int32_t", "1: accumulators lie behind the deltas", default=0),
    Field("has_velocity", "int32_t", "1: velocities lie behind those", default=0),
)
_IMPORTANCE = Field(
    "importance_offset", "int32_t", "the layer's part; -1: none", default=NO_IMPORTANCE
)
_BIAS = Field(
    "bias_offset", "int32_t", "the bias's delta in the pool; -1: none", default=NO_BIAS_DELTA
)

CONV_2D_OPTIONS = OptionsStruct(
    "Conv2dOptions",
    (
        _VERSION,
        _channels("input_channels"),
        _channels("output_channels"),
        _sides("input_size", "height and width of the input"),
        _sides("output_size", "height and width of the output"),
        _sides("kernel_size", "height and width, 1 to 255", 255),
        _sides("stride", "down and across, 1 to 255", 255),
        _sides("dilation", "down and across, 1 to 255", 255),
        Field("padding", "int32_t", "positions before the first, top and left", count=2),
        *_ACTIVATION,
        _GATES,
        *_SLOT,
        _BIAS,
        _IMPORTANCE,
    ),
)
CONV_DEPTHWISE_OPTIONS = OptionsStruct(
    "ConvDepthwiseOptions",
    (
        _VERSION,
        _channels("input_channels", "of the convolution, 1 to kMaxChannels"),
        _channels("middle_channels", "between the two, 1 to kMaxChannels"),
        _channels("output_channels", "a multiple of middle_channels, to kMaxChannels"),
        _sides("input_size", "height and width of the input"),
        _sides("middle_size", "height and width between the two"),
        _sides("output_size", "height and width of the output"),
        _sides("conv_kernel_size", "height and width, 1 to 255", 255),
        _sides("conv_stride", "down and across, 1 to 255", 255),
        _sides("conv_dilation", "down and across, 1 to 255", 255),
        Field("conv_padding", "int32_t", "positions before the first, top and left", count=2),
        Field("conv_activation", "int32_t", "an Activation", default=0),
        Field("conv_negative_slope", "float", "LeakyReLU's; 0 for the others", default=0.0),
        _sides("depthwise_kernel_size", "height and width, 1 to 255", 255),
        _sides("depthwise_stride", "down and across, 1 to 255", 255),
        _sides("depthwise_dilation", "down and across, 1 to 255", 255),
        Field("depthwise_padding", "int32_t", "positions before the first, top and left", count=2),
        Field("depthwise_activation", "int32_t", "an Activation", default=0),
        Field("depthwise_negative_slope", "float", "LeakyReLU's; 0 for the others", default=0.0),
    ),
)
DENSE_OPTIONS = OptionsStruct(
    "DenseOptions",
    (
        _VERSION,
        _channels("inputs"),
        _channels("units"),
        *_ACTIVATION,
        _GATES,
        *_SLOT,
        _BIAS,
        _IMPORTANCE,
    ),
)
STASH_OPTIONS = OptionsStruct(
    "StashOptions",
    (
        _VERSION,
        Field("pixels", "int32_t", "positions of the input: height * width; 1 for dense"),
        _channels("channels", "channels of the input, 1 to kMaxChannels"),
        Field("delta_elements", "int32_t", "weights of one channel"),
        *_SLOT,
    ),
)
GATE_OPTIONS = OptionsStruct("GateOptions", (_VERSION, *_ACTIVATION, _GATES))
POOL_OPTIONS = OptionsStruct(
    "PoolOptions",
    (
        _VERSION,
        _channels("channels"),
        _sides("input_size", "height and width of the input"),
        _sides("output_size", "height and width of the output"),
        _sides("window", "height and width, 1 to 65535"),
        _sides("stride", "down and across, 1 to 65535"),
        Field("padding", "int32_t", "positions before the first, top and left", count=2),
        Field("keeps_choices", "int32_t", "1: a max-pool writes its choices; 0: not", default=0),
    ),
)
ELEMENTS_OPTIONS = OptionsStruct("ElementsOptions", (_VERSION,))
CONCATENATION_OPTIONS = OptionsStruct(
    "ConcatenationOptions",
    (
        _VERSION,
        Field("blocks", "int32_t", "product of the sides before the axis"),
        Field("block", "int32_t", "of this input: product of its sides from the axis on"),
        Field("total", "int32_t", "the inputs' blocks together"),
        Field("offset", "int32_t", "where this input's block begins in the output's"),
    ),
)
PAD_OPTIONS = OptionsStruct(
    "PadOptions",
    (
        _VERSION,
        _channels("channels"),
        _sides("input_size", "height and width of the input"),
        Field("before", "int32_t", "zeros above and left", count=2),
        Field("after", "int32_t", "zeros below and right", count=2),
    ),
)
LOSS_OPTIONS = OptionsStruct(
    "LossOptions",
    (
        _VERSION,
        Field("gradient_scale", "float", "what the gradient is multiplied by", default=1.0),
    ),
)

CONTROL_OPTIONS = OptionsStruct(
    "ControlOptions",
    (
        _VERSION,
        Field("seed_low", "uint32_t", "low 32 bits of the sampler's seed"),
        Field("seed_high", "uint32_t", "high 32 bits"),
        Field("first_draw", "int32_t", "number of the first draw"),
        Field("capacity", "uint32_t", "room for drawn channels, in the budget's unit"),
        Field("weighting", "int32_t", "a Weighting"),
        Field("sharpness", "int32_t", "number of the power in op_schema.SHARPNESSES"),
        Field("importance_rule", "int32_t", "an ImportanceRule"),
        Field("core_q16", "uint32_t", "share of the strongest in 2^16ths, to 65536: greedy"),
        Field("fixed_elements", "int32_t", "where the drawn layers' runs begin in the pool"),
        Field(
            "classes",
            "int32_t",
            "labels are 0 to classes - 1; 0: the label is a vector",
            limits=(0, MAX_CHANNELS),
        ),
        Field("accumulates", "int32_t", "1: accumulators lie behind the deltas"),
        Field("has_velocity", "int32_t", "1: velocities lie behind those"),
        Field("clip_norm", "float", "largest norm of all gradients; 0: any"),
    ),
)

_FORWARD_INPUTS = ("input", "weights", "bias or -1", "[pool]", "[selection]")
_FORWARD_OUTPUTS = ("output", "[gates]", "[live_bias]")
_FORWARD = (
    "Frozen with 3 inputs, trainable with 5; gates [bytes] (uint8) if keeps_gates; "
    "live_bias [outputs] (scratch) if bias_offset is not -1."
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
    "weights",
    "bias or -1",
)
_UPDATE = (
    "Refreshes the drawn channels' importance; SGD on their deltas, then on the bias's. The "
    "scratch takes the gradients of as many channels at a time as it has room for, at least one "
    "(multiples of 4 are fastest), and before or after that the bias's."
)

_LOSS = (
    "Fails on a loss that is not finite: no update runs. Else it counts the sample in the "
    "selection's state and sets what gradients are multiplied by. 0 unless training."
)

CONV_2D = Op(
    "Conv2d",
    "MEDYATE_CONV_2D",
    CONV_2D_OPTIONS,
    _FORWARD_INPUTS,
    _FORWARD_OUTPUTS,
    "Weights [I][KH][KW][O]. " + _FORWARD,
)
CONV_2D_INPUT_GRADIENT = Op(
    "Conv2dInputGradient",
    "MEDYATE_CONV_2D_INPUT_GRADIENT",
    CONV_2D_OPTIONS,
    _GRADIENT_INPUTS,
    ("input_gradient",),
    "Through weights, and through the deltas with 5 inputs.",
)
CONV_2D_UPDATE = Op(
    "Conv2dUpdate", "MEDYATE_CONV_2D_UPDATE", CONV_2D_OPTIONS, _UPDATE_INPUTS, ("scratch",), _UPDATE
)
DEPTHWISE_CONV_2D = Op(
    "DepthwiseConv2d",
    "MEDYATE_DEPTHWISE_CONV_2D",
    CONV_2D_OPTIONS,
    _FORWARD_INPUTS,
    _FORWARD_OUTPUTS,
    "Weights [I][KH][KW][M], with output_channels = I * M. " + _FORWARD,
)
DEPTHWISE_CONV_2D_INPUT_GRADIENT = Op(
    "DepthwiseConv2dInputGradient",
    "MEDYATE_DEPTHWISE_CONV_2D_INPUT_GRADIENT",
    CONV_2D_OPTIONS,
    _GRADIENT_INPUTS,
    ("input_gradient",),
    "Through weights, and through the deltas with 5 inputs.",
)
DEPTHWISE_CONV_2D_UPDATE = Op(
    "DepthwiseConv2dUpdate",
    "MEDYATE_DEPTHWISE_CONV_2D_UPDATE",
    CONV_2D_OPTIONS,
    _UPDATE_INPUTS,
    ("scratch",),
    _UPDATE,
)
CONV_DEPTHWISE = Op(
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
    "A frozen convolution and the frozen depthwise one behind it, bit for bit, without the map "
    "between them: rows [conv_depthwise_rows(), middle width, middle channels] (scratch) holds "
    "what one output row needs.",
)
DENSE = Op(
    "Dense",
    "MEDYATE_DENSE",
    DENSE_OPTIONS,
    _FORWARD_INPUTS,
    _FORWARD_OUTPUTS,
    "Weights [I][O]; reads an input of any shape with I elements. " + _FORWARD,
)
DENSE_INPUT_GRADIENT = Op(
    "DenseInputGradient",
    "MEDYATE_DENSE_INPUT_GRADIENT",
    DENSE_OPTIONS,
    _GRADIENT_INPUTS,
    ("input_gradient",),
    "Through weights, and through the deltas with 5 inputs; any shape with I elements.",
)
DENSE_UPDATE = Op(
    "DenseUpdate", "MEDYATE_DENSE_UPDATE", DENSE_OPTIONS, _UPDATE_INPUTS, ("scratch",), _UPDATE
)
STASH = Op(
    "Stash",
    "MEDYATE_STASH",
    STASH_OPTIONS,
    ("input", "pool", "selection", "command"),
    (),
    "Keeps the drawn channels of a layer's input, for its update.",
)
GATE_GRADIENT = Op(
    "GateGradient",
    "MEDYATE_GATE_GRADIENT",
    GATE_OPTIONS,
    ("gates", "output_gradient", "command"),
    ("input_gradient",),
    "Gradient through a fused activation; input_gradient may lie where output_gradient does.",
    "gate",
)
SOFTMAX_CROSS_ENTROPY = Op(
    "SoftmaxCrossEntropy",
    "MEDYATE_SOFTMAX_CROSS_ENTROPY",
    LOSS_OPTIONS,
    ("logits", "label", "command", "[selection]"),
    ("loss", "logits_gradient"),
    "Fails on a bad label. " + _LOSS,
)

MEAN_SQUARED_ERROR = Op(
    "MeanSquaredError",
    "MEDYATE_MEAN_SQUARED_ERROR",
    LOSS_OPTIONS,
    ("outputs", "target", "command", "[selection]"),
    ("loss", "outputs_gradient"),
    "Target [elements] (float32). " + _LOSS,
)
ACTIVATION = Op(
    "Activation",
    "MEDYATE_ACTIVATION",
    GATE_OPTIONS,
    ("input",),
    ("output", "[gates]"),
    "An activation on its own, not NONE; output may lie where input does. Gates if keeps_gates.",
    "activation",
)
HARD_SWISH = Op(
    "HardSwish",
    "MEDYATE_HARD_SWISH",
    ELEMENTS_OPTIONS,
    ("input",),
    ("output",),
    "Output may lie where input does, unless the gradient is wanted.",
    "activation",
)
HARD_SWISH_GRADIENT = Op(
    "HardSwishGradient",
    "MEDYATE_HARD_SWISH_GRADIENT",
    ELEMENTS_OPTIONS,
    ("input", "output_gradient", "command"),
    ("input_gradient",),
    "input_gradient may lie where output_gradient does.",
    "gate",
)
MAX_POOL_2D = Op(
    "MaxPool2d",
    "MEDYATE_MAX_POOL_2D",
    POOL_OPTIONS,
    ("input",),
    ("output", "[choices]"),
    "Choices [bytes] (uint8) if keeps_choices.",
    "pool",
)
MAX_POOL_2D_GRADIENT = Op(
    "MaxPool2dGradient",
    "MEDYATE_MAX_POOL_2D_GRADIENT",
    POOL_OPTIONS,
    ("choices", "output_gradient", "command"),
    ("input_gradient",),
    "With keeps_choices 1.",
    "pool",
)
AVERAGE_POOL_2D = Op(
    "AveragePool2d",
    "MEDYATE_AVERAGE_POOL_2D",
    POOL_OPTIONS,
    ("input",),
    ("output",),
    "Keeps no choices. Padding is not counted.",
    "pool",
)
AVERAGE_POOL_2D_GRADIENT = Op(
    "AveragePool2dGradient",
    "MEDYATE_AVERAGE_POOL_2D_GRADIENT",
    POOL_OPTIONS,
    ("output_gradient", "command"),
    ("input_gradient",),
    "Keeps no choices.",
    "pool",
)
ADD = Op(
    "Add",
    "MEDYATE_ADD",
    ELEMENTS_OPTIONS,
    ("a", "b", "[command]"),
    ("sum",),
    "As many elements each; the sum may lie where a or b does. With a command it adds gradients.",
    "add",
)
CONCATENATION = Op(
    "Concatenation",
    "MEDYATE_CONCATENATION",
    CONCATENATION_OPTIONS,
    ("input ...",),
    ("output",),
    "Two inputs or more. The options are the first input's; the others follow from their sizes.",
    "add",
)
CONCATENATION_GRADIENT = Op(
    "ConcatenationGradient",
    "MEDYATE_CONCATENATION_GRADIENT",
    CONCATENATION_OPTIONS,
    ("output_gradient", "command"),
    ("input_gradient",),
    "The part of one input, the one that the options describe.",
    "add",
)
PAD = Op(
    "Pad", "MEDYATE_PAD", PAD_OPTIONS, ("input",), ("output",), "Zeros around every channel.", "add"
)
PAD_GRADIENT = Op(
    "PadGradient",
    "MEDYATE_PAD_GRADIENT",
    PAD_OPTIONS,
    ("output_gradient", "command"),
    ("input_gradient",),
    "The inner part.",
    "add",
)
CONTROL = Op(
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
    ),
    ("scratch",),
    "The first op: checks the inputs before anything is written, then draws, drops or counts. "
    "Layout [layers, words] (int32, see LayoutWord). Scratch (uint8) of control_scratch_bytes().",
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
    DENSE,
    DENSE_INPUT_GRADIENT,
    DENSE_UPDATE,
    ACTIVATION,
    GATE_GRADIENT,
    HARD_SWISH,
    HARD_SWISH_GRADIENT,
    MAX_POOL_2D,
    MAX_POOL_2D_GRADIENT,
    AVERAGE_POOL_2D,
    AVERAGE_POOL_2D_GRADIENT,
    ADD,
    CONCATENATION,
    CONCATENATION_GRADIENT,
    PAD,
    PAD_GRADIENT,
    SOFTMAX_CROSS_ENTROPY,
    MEAN_SQUARED_ERROR,
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
