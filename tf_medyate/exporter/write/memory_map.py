"""Where each tensor of the training step lies in the arena, and when: the planner's result.

Example:
    >>> open("out/memory.png", "wb").write(memory_map(bundle.manifest).png())
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter

from tf_medyate.exporter.manifest import Manifest, PlacedTensor
from tf_medyate.report.theme import BODY, LIGHT, Picture, Theme, clean, frame, legend
from tf_medyate.spec import KIB, format_bytes

# An upright label takes this share of the width, and this many characters fill the height.
_LABEL_WIDTH = 0.03
_LABEL_CHARACTERS = 52


def memory_map(manifest: Manifest, theme: Theme = LIGHT) -> Picture:
    """Draws the arena: ops of the step from left to right, addresses upwards.

    Args:
        manifest: What plan.json says.
        theme: Colours.

    Returns:
        The picture "memory".
    """
    memory = manifest.memory
    title = f"One training step in an arena of {format_bytes(memory.arena_bytes)}"
    subtitle = (
        f"Each block is a tensor: when it lives and where it lies. Besides, for good: "
        f"the pool {format_bytes(memory.pool_bytes)}, other variables and TFLM's records "
        f"{format_bytes(memory.arena_bytes - memory.planned_bytes - memory.pool_bytes)}."
    )
    figure = frame(title, subtitle, 3.6, theme)
    axes = figure.add_subplot()
    clean(axes, theme, grid="y")
    for tensor in memory.tensors:
        axes.add_patch(_block(tensor, theme))
    last = max(tensor.last for tensor in memory.tensors)
    axes.set_xlim(-0.5, last + 1.5)
    axes.set_ylim(0, memory.planned_bytes * 1.02)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / KIB:,.0f} KiB"))
    axes.set_xlabel("op of the step", color=theme.muted, size=BODY)
    _label_largest(axes, memory.tensors, last, theme)
    handles = [
        Patch(facecolor=_colour(name, theme), label=label)
        for name, label in (
            ("x", "activations"),
            ("x/gradient", "gradients"),
            ("x/gates", "gates, scratch"),
        )
    ]
    legend(axes, theme, handles)
    return Picture("memory", title, figure)


def _colour(name: str, theme: Theme) -> str:
    if "weight_gradient" in name or name.endswith(("gates", "choices", "scratch", "rows", "bias")):
        return theme.pale
    return theme.orange if "gradient" in name else theme.blue


def _block(tensor: PlacedTensor, theme: Theme) -> Rectangle:
    return Rectangle(
        (tensor.first, tensor.offset),
        tensor.last - tensor.first + 1,
        tensor.size_bytes,
        facecolor=_colour(tensor.name, theme),
        edgecolor=theme.background,
        linewidth=0.4,
    )


def _label_largest(axes: Axes, tensors: list[PlacedTensor], last: int, theme: Theme):
    """Names the blocks that are tall enough for a name, standing upright in them."""
    top = max(tensor.offset + tensor.size_bytes for tensor in tensors)
    width = max(1.0, last * _LABEL_WIDTH)
    labelled: list[float] = []
    for tensor in sorted(tensors, key=lambda t: -t.size_bytes):
        middle = (tensor.first + tensor.last + 1) / 2
        name = tensor.name.replace("/gradient", "'s gradient")
        room = tensor.size_bytes / top * _LABEL_CHARACTERS
        apart = all(abs(middle - other) >= width for other in labelled)
        if not apart or room < len(name) or tensor.last - tensor.first + 1 < width:
            continue
        labelled.append(middle)
        axes.text(
            middle,
            tensor.offset + tensor.size_bytes / 2,
            name,
            rotation=90,
            ha="center",
            va="center",
            size=BODY * 0.72,
            color=theme.background if _colour(tensor.name, theme) == theme.blue else theme.ink,
        )
