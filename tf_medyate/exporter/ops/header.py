"""Writes the two C++ headers that say what our ops are.

    schema/op_options.h   names, options structs, enums
    kernels/ops.h         the registrations, and a list of all ops

python -m tf_medyate.exporter.ops.header
"""

from __future__ import annotations

from tf_medyate import c_structs
from tf_medyate.cpp_sources import source_root
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.spec import RUNNING_RATE

_ENUMS = (
    op_schema.Activation,
    op_schema.Command,
    op_schema.StateWord,
    op_schema.LayoutWord,
    op_schema.OptimizerWord,
    op_schema.AdamWord,
    op_schema.ImportanceRule,
    op_schema.LossKind,
    op_schema.LossWord,
)
_GENERATOR = "tf_medyate/exporter/ops/header.py"
_SOURCE = "tf_medyate/exporter/ops/schema.py"


def op_options() -> str:
    """The text of op_options.h."""
    body = ["#include <stddef.h>", "#include <stdint.h>", "", "namespace medyate {", ""]
    body += [f'constexpr char k{op.key}Name[] = "{op.name}";' for op in op_schema.OPS]
    body += [
        "",
        f"constexpr uint32_t kOptionsVersion = {op_schema.VERSION};",
        f"constexpr int kSelectionHeaderWords = {op_schema.SELECTION_HEADER_WORDS};",
        f"constexpr int kMaxChannels = {op_schema.MAX_CHANNELS};",
        f"constexpr int kNoBiasRun = {op_schema.NO_BIAS_RUN};",
        f"constexpr int kNoImportance = {op_schema.NO_IMPORTANCE};",
        f"constexpr int kDrawnAnew = {op_schema.DRAWN_ANEW};",
        f"constexpr float kUnseen = {op_schema.UNSEEN}f;",
        f"constexpr int kNoSteps = {op_schema.NO_STEPS};",
        f"constexpr float kImportanceRate = {RUNNING_RATE}f;",
        f"constexpr int kStateWords = {op_schema.STATE_WORDS};",
        f"constexpr int kLayoutWords = {len(op_schema.LayoutWord)};",
        f"constexpr int kOptimizerWords = {len(op_schema.OptimizerWord)};",
        f"constexpr int kAdamWords = {len(op_schema.AdamWord)};",
        f"constexpr int kCorrectionWords = {op_schema.CORRECTION_WORDS};",
        f"constexpr int kLossKinds = {len(op_schema.LossKind)};",
        f"constexpr int kLossWords = {len(op_schema.LossWord)};",
        f"constexpr int kWeightings = {len(op_schema.Weighting)};",
        f"constexpr int kSharpnesses = {len(op_schema.Sharpness)};",
        "",
    ]
    for kind in _ENUMS:
        body += c_structs.enum_lines(kind)
    for kind in (op_schema.Weighting, op_schema.Sharpness):
        body += c_structs.enum_lines(kind, "uint8_t")
    for options in dict.fromkeys(op.options for op in op_schema.OPS):
        body += c_structs.struct_lines(options)
    body.append("}  // namespace medyate")
    return c_structs.header_text("tflm_ops/schema/op_options.h", _GENERATOR, _SOURCE, body)


def registrations() -> str:
    """The text of ops.h."""
    keys = sorted(op.key for op in op_schema.OPS)
    entries = [f"  op({key})" for key in keys]
    width = max(len("#define MEDYATE_EVERY_OP(op)"), *map(len, entries)) + 1
    rows = ["#define MEDYATE_EVERY_OP(op)", *entries[:-1]]
    body = [
        '#include "tflm_ops/kernels/tflm_abi.h"',
        "",
        "// What the macro `op` makes of the key of every op.",
        *(f"{row:<{width}}\\" for row in rows),
        entries[-1],
        "",
        "namespace medyate {",
        "",
        *(f"tflm::Registration Register{key}();" for key in keys),
        "",
        "}  // namespace medyate",
    ]
    return c_structs.header_text("tflm_ops/kernels/ops.h", _GENERATOR, _SOURCE, body)


HEADERS = {"schema/op_options.h": op_options, "kernels/ops.h": registrations}
"""Place under tflm_ops -> what writes it."""

if __name__ == "__main__":
    for place, text in HEADERS.items():
        (source_root() / "tflm_ops" / place).write_text(text())
