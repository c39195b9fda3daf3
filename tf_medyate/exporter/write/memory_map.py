"""Where everything of the training step lies in the arena, and when: the planner's result.

Example:
    >>> open("out/memory.png", "wb").write(memory_map(bundle.manifest).png())
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter

from tf_medyate.exporter.manifest import Manifest, MemoryEntry, PlacedTensor
from tf_medyate.report.theme import BODY, LIGHT, Picture, Theme, clean, frame, legend
from tf_medyate.spec import KIB, format_bytes

_SCRATCH = ("gates", "choices", "scratch", "rows", "bias", "weight_gradient")
_LABEL = BODY * 0.78


@dataclasses.dataclass(frozen=True)
class _Block:
    """A rectangle: ops `first` to `last`, so many bytes from `offset` on."""

    name: str
    offset: int
    size_bytes: int
    first: int
    last: int
    color: str


def memory_map(manifest: Manifest, theme: Theme = LIGHT) -> Picture:
    """Draws the whole arena: ops of the step from left to right, addresses upwards.

    Args:
        manifest: What plan.json says.
        theme: Colours.

    Returns:
        The picture "memory".
    """
    memory = manifest.memory
    title = f"One training step in an arena of {format_bytes(memory.arena_bytes)}"
    subtitle = (
        "Each block is a tensor: when it lives and where it lies. What is above the planned "
        "tensors stays for good; the pool holds what the drawn channels need."
    )
    figure = frame(title, subtitle, 4.4, theme)
    axes = figure.add_subplot()
    clean(axes, theme, grid="y")
    last = max(tensor.last for tensor in memory.tensors)
    blocks = [*_planned(memory.tensors, theme), *_for_good(memory, last, theme)]
    for block in blocks:
        axes.add_patch(
            Rectangle(
                (block.first, block.offset / KIB),
                block.last - block.first + 1,
                block.size_bytes / KIB,
                facecolor=block.color,
                edgecolor=theme.background,
                linewidth=0.4,
            )
        )
    axes.set_xlim(-0.5, last + 1.5)
    axes.set_ylim(0, memory.arena_bytes / KIB * 1.01)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.3g} KiB"))
    axes.set_xlabel("op of the step", color=theme.muted, size=BODY)
    colors = {
        "pool": theme.green,
        "activations": theme.blue,
        "gradients (∇)": theme.orange,
        "masks, scratch, records": theme.pale,
    }
    legend(axes, theme, [Patch(facecolor=color, label=name) for name, color in colors.items()])
    figure.draw_without_rendering()  # now the axes have their size
    _label(axes, blocks, theme)
    return Picture("memory", title, figure)


def _planned(tensors: Iterable[PlacedTensor], theme: Theme) -> list[_Block]:
    """The planned tensors; one that takes over another's place is drawn as its continuation."""
    blocks: list[_Block] = []
    for tensor in sorted(tensors, key=lambda t: t.first):
        place = (tensor.offset, tensor.size_bytes)
        for index, block in enumerate(blocks):
            if (block.offset, block.size_bytes) == place and block.last >= tensor.first:
                blocks[index] = dataclasses.replace(block, last=max(block.last, tensor.last))
                break
        else:
            name = re.sub(r"^(.*)/gradient(_\d+)?$", r"∇ \1", tensor.name)
            color = _color(tensor.name, theme)
            blocks.append(_Block(name, *place, tensor.first, tensor.last, color))
    return blocks


def _for_good(memory: MemoryEntry, last: int, theme: Theme) -> list[_Block]:
    """What stays from step to step, as bands above the planned tensors, largest use first."""
    pool = f"the pool, {format_bytes(memory.pool_bytes)}: drawn weights, saved activations, head"
    others = memory.variable_bytes - memory.pool_bytes
    records = memory.arena_bytes - memory.planned_bytes - memory.variable_bytes
    bands = (
        (pool, memory.pool_bytes, theme.green),
        (f"other variables, {format_bytes(others)}", others, theme.pale),
        (f"TFLM's own records, {format_bytes(records)}", records, theme.pale),
    )
    blocks, offset = [], memory.planned_bytes
    for name, size, color in bands:
        blocks.append(_Block(name, offset, size, 0, last, color))
        offset += size
    return blocks


def _color(name: str, theme: Theme) -> str:
    if name.endswith(_SCRATCH):
        return theme.pale
    return theme.orange if "gradient" in name else theme.blue


def _label(axes: Axes, blocks: list[_Block], theme: Theme):
    """Names the blocks that have room for their name, upright where they are narrow."""
    for block in blocks:
        bottom, top = block.offset / KIB, (block.offset + block.size_bytes) / KIB
        start = axes.transData.transform((block.first, bottom))
        width, height = axes.transData.transform((block.last + 1, top)) - start
        text = axes.text(
            (block.first + block.last + 1) / 2,
            (bottom + top) / 2,
            block.name,
            ha="center",
            va="center",
            size=_LABEL,
            color=theme.on(block.color),
            in_layout=False,
            parse_math=False,
        )
        for angle in (0, 90):
            text.set_rotation(angle)
            box = text.get_window_extent()
            if box.width <= 0.96 * width and box.height <= 0.96 * height:
                break
        else:
            text.remove()
