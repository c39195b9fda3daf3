"""What Adam does instead of SGD: an op that counts updates, and a twin of every update op.

Example:
    >>> from tf_medyate.exporter.ops import adam_schema
    >>> len(adam_schema.ADAM_RATE.options.pack(corrections_offset=9))
    8
"""

from tf_medyate.exporter.ops.option_structs import CONV_2D_OPTIONS, DENSE_OPTIONS
from tf_medyate.exporter.ops.structs import VERSION, Field, OpSpec, OptionsStruct

ADAM_RATES = 2
"""Numbers that ADAM_RATE gives the updates."""

ADAM_RATE_OPTIONS = OptionsStruct(
    "AdamRateOptions",
    (
        Field("version", "uint32_t", "kOptionsVersion", default=VERSION),
        Field("corrections_offset", "int32_t", "first of kCorrectionWords in the selection"),
    ),
)

ADAM_RATE = OpSpec(
    "AdamRate",
    "MEDYATE_ADAM_RATE",
    ADAM_RATE_OPTIONS,
    ("learning_rate", "command", "selection", "optimizer"),
    ("rates",),
    "After the loss: takes notice of an update, and makes the rates [2] of those that follow: the "
    "step size learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t), and the share of a weight that "
    "decays.",
)


def _update(key: str, name: str, options: OptionsStruct) -> OpSpec:
    inputs = (
        "output_gradient",
        "pool",
        "selection",
        "rates",
        "command",
        "importance or -1",
        "optimizer",
    )
    meaning = "As the update op of the same options, by Adam (AdamWord); optimizer_slots is 2."
    return OpSpec(f"{key}Adam", f"MEDYATE_{name}_ADAM", options, inputs, ("scratch",), meaning)


CONV_2D_ADAM = _update("Conv2d", "CONV_2D", CONV_2D_OPTIONS)
DEPTHWISE_CONV_2D_ADAM = _update("DepthwiseConv2d", "DEPTHWISE_CONV_2D", CONV_2D_OPTIONS)
CONV_2D_TRANSPOSE_ADAM = _update("Conv2dTranspose", "CONV_2D_TRANSPOSE", CONV_2D_OPTIONS)
DENSE_ADAM = _update("Dense", "DENSE", DENSE_OPTIONS)

ADAM_OPS = (
    ADAM_RATE,
    CONV_2D_ADAM,
    DEPTHWISE_CONV_2D_ADAM,
    CONV_2D_TRANSPOSE_ADAM,
    DENSE_ADAM,
)
