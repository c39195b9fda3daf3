"""Our ops on int8 values, for what is never trained: TensorFlow Lite's arithmetic, bit for bit.

And those on float values with int8 weights, for what lies after the first trained layer.

real = scale * (stored - zero point). Weights are symmetric, with a scale for each output channel; a
layer's constant `requantization` [3, outputs] (int32) holds what brings a sum of products back to
8 bits: the bias, a multiplier in Q31 and a shift to the right, 1 to 31.

Example:
    >>> from tf_medyate.exporter.ops import int8_schema
    >>> len(int8_schema.QUANTIZE.options.pack(scale=0.5, zero=-128))
    12
"""

from tf_medyate.exporter.ops.option_structs import (
    CONV_2D_OPTIONS,
    CONV_DEPTHWISE_OPTIONS,
    DENSE_OPTIONS,
    POOL_OPTIONS,
    STASH_OPTIONS,
    channels,
    sides,
)
from tf_medyate.exporter.ops.structs import VERSION, Field, OpSpec, OptionsStruct

LOWEST, HIGHEST = -128, 127
HIGHEST_SHIFT = 31
ADD_SHIFT = 20
"""Fractional bits of the terms of a sum."""
_BLOCK_ELEMENTS = 1024  # Enough for four channels of nearly all layers, for a dozen of most.

_VERSION = Field("version", "uint32_t", "kOptionsVersion", default=VERSION)


def _zero(name: str) -> Field:
    return Field(name, "int32_t", "a zero point", limits=(LOWEST, HIGHEST))


QUANTIZATION_OPTIONS = OptionsStruct(
    "QuantizationOptions",
    (_VERSION, Field("scale", "float", "above 0"), _zero("zero")),
)
INT8_CONV_2D_OPTIONS = OptionsStruct(
    "Int8Conv2dOptions",
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
        _zero("input_zero"),
        _zero("output_zero"),
    ),
)
# What a convolution clamps to is the range of its output.
_CLAMPED = ("activation", "negative_slope")
INT8_CONV_DEPTHWISE_OPTIONS = OptionsStruct(
    "Int8ConvDepthwiseOptions",
    (
        *(f for f in CONV_DEPTHWISE_OPTIONS.fields if not f.name.endswith(_CLAMPED)),
        _zero("input_zero"),
        _zero("middle_zero"),
        _zero("output_zero"),
    ),
)
INT8_BOTTLENECK_OPTIONS = OptionsStruct(
    "Int8BottleneckOptions",
    (*INT8_CONV_DEPTHWISE_OPTIONS.fields, channels("project_channels"), _zero("project_zero")),
)
INT8_ADD_OPTIONS = OptionsStruct(
    "Int8AddOptions",
    (
        _VERSION,
        Field("zero", "int32_t", "zero points of a, b and the sum", count=3),
        Field("multiplier", "int32_t", "in Q31, of a, b and the sum", count=3),
        Field("shift", "int32_t", "to the right, of a, b and the sum", count=3),
    ),
)

QUANTIZE = OpSpec(
    "Quantize",
    "MEDYATE_QUANTIZE",
    QUANTIZATION_OPTIONS,
    ("input",),
    ("output",),
    "float32 to int8, rounded half away from zero; the output may begin where the input does.",
    "quantize",
)
DEQUANTIZE = OpSpec(
    "Dequantize",
    "MEDYATE_DEQUANTIZE",
    QUANTIZATION_OPTIONS,
    ("input",),
    ("output",),
    "int8 to float32.",
    "dequantize",
)
INT8_CONV_2D = OpSpec(
    "Int8Conv2d",
    "MEDYATE_INT8_CONV_2D",
    INT8_CONV_2D_OPTIONS,
    ("input", "weights", "requantization"),
    ("output", "patches"),
    "Weights [O][KH][KW][I]. Patches (uint8, scratch) of int8_patch_bytes().",
)
INT8_DEPTHWISE_CONV_2D = OpSpec(
    "Int8DepthwiseConv2d",
    "MEDYATE_INT8_DEPTHWISE_CONV_2D",
    INT8_CONV_2D_OPTIONS,
    ("input", "weights", "requantization"),
    ("output",),
    "Weights [1][KH][KW][O], with output_channels a multiple of input_channels.",
)
INT8_CONV_DEPTHWISE = OpSpec(
    "Int8ConvDepthwise",
    "MEDYATE_INT8_CONV_DEPTHWISE",
    INT8_CONV_DEPTHWISE_OPTIONS,
    (
        "input",
        "conv_weights",
        "conv_requantization",
        "depthwise_weights",
        "depthwise_requantization",
    ),
    ("output", "rows", "patches"),
    "An INT8_CONV_2D and the INT8_DEPTHWISE_CONV_2D after it, bit for bit, without the map between "
    "them: rows (uint8, scratch) as of CONV_DEPTHWISE, patches as of INT8_CONV_2D.",
)
INT8_BOTTLENECK = OpSpec(
    "Int8Bottleneck",
    "MEDYATE_INT8_BOTTLENECK",
    INT8_BOTTLENECK_OPTIONS,
    (*INT8_CONV_DEPTHWISE.inputs, "project_weights", "project_requantization"),
    ("output", "rows", "patches"),
    "An INT8_CONV_DEPTHWISE and a pointwise INT8_CONV_2D after it, of project_channels, bit for "
    "bit, without the maps between them: rows have room for one of the second map, too, and "
    "patches are those of the larger convolution.",
)
INT8_ADD = OpSpec(
    "Int8Add",
    "MEDYATE_INT8_ADD",
    INT8_ADD_OPTIONS,
    ("a", "b"),
    ("sum",),
    "As many elements each; the sum may lie where a or b does.",
    "int8_add",
)
INT8_AVERAGE_POOL_2D = OpSpec(
    "Int8AveragePool2d",
    "MEDYATE_INT8_AVERAGE_POOL_2D",
    POOL_OPTIONS,
    ("input",),
    ("output",),
    "Rounded half away from zero, at the input's scale. Padding is not counted.",
    "int8_pool",
)
INT8_MAX_POOL_2D = OpSpec(
    "Int8MaxPool2d",
    "MEDYATE_INT8_MAX_POOL_2D",
    POOL_OPTIONS,
    ("input",),
    ("output",),
    "At the input's scale; keeps no choices.",
    "int8_pool",
)


def _int8_weights(
    key: str, name: str, options: OptionsStruct, shape: str, in_place: str = ""
) -> tuple[OpSpec, OpSpec]:
    """A layer of floats that is never trained, with int8 weights; and its gradient."""
    forward = OpSpec(
        f"Int8Weights{key}",
        f"MEDYATE_INT8_WEIGHTS_{name}",
        options,
        ("input", "weights", "bias or -1", "scales"),
        ("output", "[gates]", "block"),
        f"Weights {shape} (int8), scales [outputs]: the float layer, its weights scale * stored. "
        "The block (scratch) takes the floats of some output channels: int8_block_elements()."
        + in_place,
    )
    gradient = OpSpec(
        f"Int8Weights{key}InputGradient",
        f"MEDYATE_INT8_WEIGHTS_{name}_INPUT_GRADIENT",
        options,
        ("output_gradient", "weights", "command", "scales"),
        ("input_gradient", "block"),
        f"The block (scratch) takes the floats of some input channels.{in_place}",
    )
    return forward, gradient


INT8_WEIGHTS_CONV_2D, INT8_WEIGHTS_CONV_2D_INPUT_GRADIENT = _int8_weights(
    "Conv2d", "CONV_2D", CONV_2D_OPTIONS, "[I][KH][KW][O]"
)
INT8_WEIGHTS_DEPTHWISE_CONV_2D, INT8_WEIGHTS_DEPTHWISE_CONV_2D_INPUT_GRADIENT = _int8_weights(
    "DepthwiseConv2d",
    "DEPTHWISE_CONV_2D",
    CONV_2D_OPTIONS,
    "[I][KH][KW][M]",
    " If M is 1, the output may lie where the input does: the block takes channels of it, too.",
)
INT8_WEIGHTS_DENSE, INT8_WEIGHTS_DENSE_INPUT_GRADIENT = _int8_weights(
    "Dense", "DENSE", DENSE_OPTIONS, "[I][O]"
)

_MEANING = "scale_and_zero"


def _int8_input(key: str, name: str, weights: str) -> OpSpec:
    return OpSpec(
        f"Int8Input{key}",
        f"MEDYATE_INT8_INPUT_{name}",
        CONV_2D_OPTIONS,
        ("input", "weights", "bias or -1", "pool", "selection", _MEANING),
        ("output", "[gates]", "rows"),
        f"The trained layer of floats, weights {weights}, whose input lies in 8 bits. What that "
        "means says scale_and_zero [2] (floats). Rows (scratch) are the floats of as many rows of "
        "the input as an output row needs.",
    )


INT8_INPUT_CONV_2D = _int8_input("Conv2d", "CONV_2D", "[I][KH][KW][O]")
INT8_INPUT_DEPTHWISE_CONV_2D = _int8_input("DepthwiseConv2d", "DEPTHWISE_CONV_2D", "[I][KH][KW][M]")
INT8_INPUT_STASH = OpSpec(
    "Int8InputStash",
    "MEDYATE_INT8_INPUT_STASH",
    STASH_OPTIONS,
    ("input", "pool", "selection", "command", _MEANING),
    (),
    "STASH of values in 8 bits, as floats.",
)

INT8_OPS = (
    QUANTIZE,
    DEQUANTIZE,
    INT8_CONV_2D,
    INT8_DEPTHWISE_CONV_2D,
    INT8_CONV_DEPTHWISE,
    INT8_BOTTLENECK,
    INT8_ADD,
    INT8_AVERAGE_POOL_2D,
    INT8_MAX_POOL_2D,
    INT8_WEIGHTS_CONV_2D,
    INT8_WEIGHTS_CONV_2D_INPUT_GRADIENT,
    INT8_WEIGHTS_DEPTHWISE_CONV_2D,
    INT8_WEIGHTS_DEPTHWISE_CONV_2D_INPUT_GRADIENT,
    INT8_WEIGHTS_DENSE,
    INT8_WEIGHTS_DENSE_INPUT_GRADIENT,
    INT8_INPUT_CONV_2D,
    INT8_INPUT_DEPTHWISE_CONV_2D,
    INT8_INPUT_STASH,
)


def int8_patch_bytes(depth: int) -> int:
    """Bytes of the scratch of INT8_CONV_2D, for `depth` weights of an output channel."""
    return (depth + 3) // 4 * 4 * 5


def int8_block_elements(channels: int, weights_each: int) -> int:
    """Floats of the block of a layer with int8 weights: of all channels, or of some, at least 4."""
    some = max(_BLOCK_ELEMENTS // weights_each // 4, 1) * 4
    return min(channels, some) * weights_each
