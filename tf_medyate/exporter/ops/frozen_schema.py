"""Our ops of normalizations: their weights are frozen, their input has a gradient.

Example:
    >>> from tf_medyate.exporter.ops import frozen_schema
    >>> frozen_schema.NORMALIZE.inputs
    ('input', 'gamma or -1', 'beta or -1')
"""

from tf_medyate.exporter.ops.structs import VERSION, Field, OpSpec, OptionsStruct

NORMALIZE_OPTIONS = OptionsStruct(
    "NormalizeOptions",
    (
        Field("version", "uint32_t", "kOptionsVersion", default=VERSION),
        Field("rows", "int32_t", "of [rows][positions][groups][width]"),
        Field("positions", "int32_t", "normalized together with the width"),
        Field("groups", "int32_t", "normalized each on its own"),
        Field("width", "int32_t", "channels of a group"),
        Field("centered", "int32_t", "1: less their mean; 0: not", default=1),
        Field("epsilon", "float", "added to the variance; 0 or more"),
    ),
)

NORMALIZE = OpSpec(
    "Normalize",
    "MEDYATE_NORMALIZE",
    NORMALIZE_OPTIONS,
    ("input", "gamma or -1", "beta or -1"),
    ("output",),
    "Layer, group and RMS normalization; gamma and beta [groups][width]. Output may lie where "
    "input does, unless the gradient is wanted.",
    "normalize",
)
NORMALIZE_GRADIENT = OpSpec(
    "NormalizeGradient",
    "MEDYATE_NORMALIZE_GRADIENT",
    NORMALIZE_OPTIONS,
    ("input", "gamma or -1", "output_gradient", "command"),
    ("input_gradient",),
    "input_gradient may lie where output_gradient does.",
    "normalize_gradient",
)

FROZEN_OPS = (NORMALIZE, NORMALIZE_GRADIENT)
