"""The options structs of our ops, as they lie in the flatbuffer."""

from tf_medyate.exporter.ops.structs import VERSION, Field, OptionsStruct
from tf_medyate.exporter.ops.words import MAX_CHANNELS, NO_BIAS_RUN, NO_IMPORTANCE


def channels(name: str, meaning: str = "1 to kMaxChannels") -> Field:
    """A number of channels."""
    return Field(name, "int32_t", meaning, limits=(1, MAX_CHANNELS))


def sides(name: str, meaning: str, most: int = 65535) -> Field:
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
    Field("accumulates", "int32_t", "1: accumulators lie after the weights", default=0),
    Field("optimizer_slots", "int32_t", "of each weight, 0 to 2; after those", default=0),
)
_IMPORTANCE = Field(
    "importance_offset", "int32_t", "the layer's part; -1: none", default=NO_IMPORTANCE
)
_BIAS = Field(
    "bias_offset", "int32_t", "the trained bias in the pool; -1: none", default=NO_BIAS_RUN
)

CONV_2D_OPTIONS = OptionsStruct(
    "Conv2dOptions",
    (
        _VERSION,
        channels("input_channels"),
        channels("output_channels"),
        sides("input_size", "height and width of the input"),
        sides("output_size", "height and width of the output"),
        sides("kernel_size", "height and width, 1 to 255", 255),
        sides("stride", "down and across, 1 to 255", 255),
        sides("dilation", "down and across, 1 to 255", 255),
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
        channels("input_channels", "of the convolution, 1 to kMaxChannels"),
        channels("middle_channels", "between the two, 1 to kMaxChannels"),
        channels("output_channels", "a multiple of middle_channels, to kMaxChannels"),
        sides("input_size", "height and width of the input"),
        sides("middle_size", "height and width between the two"),
        sides("output_size", "height and width of the output"),
        sides("conv_kernel_size", "height and width, 1 to 255", 255),
        sides("conv_stride", "down and across, 1 to 255", 255),
        sides("conv_dilation", "down and across, 1 to 255", 255),
        Field("conv_padding", "int32_t", "positions before the first, top and left", count=2),
        Field("conv_activation", "int32_t", "an Activation", default=0),
        Field("conv_negative_slope", "float", "LeakyReLU's; 0 for the others", default=0.0),
        sides("depthwise_kernel_size", "height and width, 1 to 255", 255),
        sides("depthwise_stride", "down and across, 1 to 255", 255),
        sides("depthwise_dilation", "down and across, 1 to 255", 255),
        Field("depthwise_padding", "int32_t", "positions before the first, top and left", count=2),
        Field("depthwise_activation", "int32_t", "an Activation", default=0),
        Field("depthwise_negative_slope", "float", "LeakyReLU's; 0 for the others", default=0.0),
    ),
)
DENSE_OPTIONS = OptionsStruct(
    "DenseOptions",
    (
        _VERSION,
        channels("inputs"),
        channels("units"),
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
        channels("channels", "channels of the input, 1 to kMaxChannels"),
        Field("channel_weights", "int32_t", "weights of one channel"),
        *_SLOT,
    ),
)
GATE_OPTIONS = OptionsStruct("GateOptions", (_VERSION, *_ACTIVATION, _GATES))
POOL_OPTIONS = OptionsStruct(
    "PoolOptions",
    (
        _VERSION,
        channels("channels"),
        sides("input_size", "height and width of the input"),
        sides("output_size", "height and width of the output"),
        sides("window", "height and width, 1 to 65535"),
        sides("stride", "down and across, 1 to 65535"),
        Field("padding", "int32_t", "positions before the first, top and left", count=2),
        Field("keeps_choices", "int32_t", "1: a max-pool writes its choices; 0: not", default=0),
    ),
)
ELEMENTS_OPTIONS = OptionsStruct("ElementsOptions", (_VERSION,))
RELU_OPTIONS = OptionsStruct(
    "ReluOptions",
    (
        _VERSION,
        Field("max_value", "float", "above 0; infinity for none"),
        Field("threshold", "float", "0 or more"),
        Field("negative_slope", "float", "below the threshold"),
    ),
)
ELU_OPTIONS = OptionsStruct(
    "EluOptions",
    (
        _VERSION,
        Field("alpha", "float", "0 or more"),
        Field("scale", "float", "what all is multiplied by: 1, or SELU's"),
    ),
)
SOFTMAX_OPTIONS = OptionsStruct(
    "SoftmaxOptions",
    (
        _VERSION,
        Field("size", "int32_t", "elements that sum up to 1"),
        Field("inner", "int32_t", "how far apart they lie: product of the sides after the axis"),
    ),
)
BROADCAST_OPTIONS = OptionsStruct(
    "BroadcastOptions",
    (
        _VERSION,
        Field("size", "int32_t", "the output's sides, outermost first", count=3),
        Field("a_size", "int32_t", "a's: the output's, or 1 where a is repeated", count=3),
        Field("b_size", "int32_t", "b's: the output's, or 1 where b is repeated", count=3),
        Field("operand", "int32_t", "whose gradient is meant: 0 a, 1 b", default=0),
    ),
)
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
        channels("channels"),
        sides("input_size", "height and width of the input"),
        Field("before", "int32_t", "zeros above and left", count=2),
        Field("after", "int32_t", "zeros below and right", count=2),
    ),
)
COPY_SIDES = 5
"""Sides that STRIDED_COPY_OPTIONS have."""
STRIDED_COPY_OPTIONS = OptionsStruct(
    "StridedCopyOptions",
    (
        _VERSION,
        Field("sides", "int32_t", "of the output, from the slowest on", count=COPY_SIDES),
        Field("strides", "int32_t", "in the input, 0 or more; 0 repeats", count=COPY_SIDES),
        Field("offset", "int32_t", "of the output's first element in the input"),
        Field("input_elements", "int32_t", "of the whole input"),
    ),
)
LOSS_OPTIONS = OptionsStruct(
    "LossOptions",
    (
        _VERSION,
        Field("weight", "float", "what loss and gradient are multiplied by", default=1.0),
        Field("smoothing", "float", "of the labels of a cross-entropy, 0 to 1", default=0.0),
        Field("delta", "float", "where Huber's loss becomes linear", default=1.0),
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
        Field("accumulates", "int32_t", "1: accumulators lie after the weights"),
        Field("optimizer_slots", "int32_t", "of each weight, 0 to 2; after those"),
        Field("clip_norm", "float", "largest norm of all gradients; 0: any"),
    ),
)
