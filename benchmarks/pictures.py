"""Draws the README's pictures of the export from what `make demo` wrote.

make demo && python benchmarks/pictures.py [--bundle out/demo/device] [--out docs/img]
"""

from __future__ import annotations

import argparse
import pathlib

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from tf_medyate.exporter.manifest import Manifest, read_manifest
from tf_medyate.exporter.write.memory_map import memory_map
from tf_medyate.report.theme import BODY, LIGHT, Picture, frame
from tf_medyate.spec import format_bytes

_BOX = (2.0, 1.02)  # width, height
_GAP = 0.42


def boxes(manifest: Manifest) -> list[tuple[str, str, str]]:
    """(what, detail, who does it) for every stage."""
    kept = sum(layer.drawn for layer in manifest.layers)
    channels = sum(layer.channels for layer in manifest.layers if layer.drawn)
    memory, files = manifest.memory, manifest.files
    train = format_bytes(files["train.tflite"].size_bytes)
    return [
        ("Keras model", f"{len(manifest.layers)} layers\nwith weights", "md.prepare"),
        ("ranked, kept", f"{kept} layers,\n{channels} channels", "md.MeDyate"),
        ("train.tflite", f"{train}\nof flash", "md.export"),
        ("TFLM arena", f"{format_bytes(memory.arena_bytes)}\nin all", "TFLMTrainer"),
        ("the pool", f"{format_bytes(memory.pool_bytes)} for the\ndrawn channels", "end_epoch"),
    ]


def flow(manifest: Manifest) -> Picture:
    """The stages from left to right."""
    stages = boxes(manifest)
    title = f"From Keras to a microcontroller: {manifest.model}"
    figure = frame(title, "Every number is from the exported plan.json.", 1.15, LIGHT)
    axes = figure.add_subplot()
    axes.set_axis_off()
    for index, stage in enumerate(stages):
        _draw_stage(axes, index * (_BOX[0] + _GAP), *stage)
        if index:
            _draw_arrow(axes, index * (_BOX[0] + _GAP))
    axes.set_xlim(-0.05, len(stages) * (_BOX[0] + _GAP) - _GAP + 0.05)
    axes.set_ylim(-0.4, _BOX[1] + 0.05)
    return Picture("flow", title, figure)


def _draw_stage(axes: Axes, x: float, what: str, detail: str, who: str):
    style = "round,pad=0,rounding_size=0.1"
    axes.add_patch(FancyBboxPatch((x, 0), *_BOX, boxstyle=style, fc=LIGHT.blue, ec="none"))
    middle = x + _BOX[0] / 2
    bright = {"ha": "center", "va": "center", "color": LIGHT.background}
    axes.text(middle, 0.77, what, size=BODY * 0.92, weight="bold", **bright)
    axes.text(middle, 0.35, detail, size=BODY * 0.72, linespacing=1.25, **bright)
    axes.text(
        middle,
        -0.2,
        who,
        size=BODY * 0.72,
        family="monospace",
        ha="center",
        va="center",
        color=LIGHT.muted,
    )


def _draw_arrow(axes: Axes, x: float):
    arrow = {"arrowstyle": "-|>", "color": LIGHT.muted, "lw": 1.2, "shrinkA": 1, "shrinkB": 1}
    axes.annotate("", (x, _BOX[1] / 2), (x - _GAP, _BOX[1] / 2), arrowprops=arrow)


def main():
    """Writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="out/demo/device", help="an exported folder")
    parser.add_argument("--out", default="docs/img", help="folder for the pictures")
    args = parser.parse_args()
    manifest = read_manifest(pathlib.Path(args.bundle) / "plan.json")
    for picture in (flow(manifest), memory_map(manifest)):
        path = pathlib.Path(args.out) / f"{picture.name}.png"
        path.write_bytes(picture.png())
        print(f"{path}: {picture.title}")


if __name__ == "__main__":
    main()
