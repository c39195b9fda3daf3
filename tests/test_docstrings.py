"""The examples in the docstrings, in the README and in docs/using.md, run as they stand.

They may use a small world: a model, its data, an attached callback, an export in "out/". An example
that shows no output passes if it raises nothing; one that does must print it ("..." for whatever
differs from machine to machine).
"""

import doctest
import importlib
import pathlib
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from bench_fakes import fake_run, results_of
from exported import lower, ready
from random_models import random_data
from report_fakes import random_report

import tf_medyate as md
from tf_medyate.bench.analyse.panel import Panel
from tf_medyate.prepared.graph import trace
from tf_medyate.prepared.parts import DIVISIBLE
from tf_medyate.prepared.supported import TWINS

PACKAGE = pathlib.Path(md.__file__).parent
ROOT = pathlib.Path(__file__).parents[1]

# module -> why its examples are not run
NOT_RUN = {
    "prepared.legacy": "a file of Keras 2",
    **dict.fromkeys(
        ("device", "device.client", "device.learned", "device.transport", "emulator",
         "emulator.image"),
        "a board or an emulator",
    ),
    **dict.fromkeys(
        ("bench", "bench.run.execute", "bench.run.files", "bench.run.material",
         "bench.run.ray_runner", "bench.run.runner", "data.vision", "select.diagnostics",
         "report.diagnostics", "zoo", "zoo.inverted", "zoo.mltk", "zoo.pretrain", "zoo.registry"),
        "long: training, or large nets",
    ),
    **dict.fromkeys(
        ("data.cifar10", "data.sign_digits", "data.spoken_digits", "device.applying",
         "device.delta", "zoo.mcu_file", "zoo.tiny_training", "zoo.torch_file", "zoo.weights"),
        "files that somebody downloads or makes",
    ),
    **dict.fromkeys(
        ("bench.run.footprint", "commands.losses", "exporter.lower.backward",
         "exporter.lower.builtin", "exporter.lower.forward",
         "exporter.write.cpp_model", "exporter.write.region", "exporter.write.arduino",
         "prepared.pool_layout", "prepared.slots", "prepared.state", "prepared.update"),
        "parts in the middle of something larger; its own tests run it",
    ),
}  # fmt: skip


class Lenient(doctest.OutputChecker):
    """Takes any output where an example shows none."""

    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want, got, optionflags)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What an example may name."""
    folder = tmp_path_factory.mktemp("world")
    model, medyate, _ = ready()
    x, y = random_data(model, 16)
    np.savez(folder / "data.npz", x=x, y=np.array(["left", "right", "still"])[y])
    options = md.FirmwareOptions(arduino=True, tflm=True)
    bundle = md.export(model, folder / "out", medyate, firmware=options)
    training, memory_plan = lower(model, medyate)
    results = results_of({"medyate": 0.02, "head": 0.0}, folds=2, seeds=1)
    names = dict(
        md=md, keras=keras, np=np, tf=tf, folder=folder, x=x, y=y, model=model, medyate=medyate
    )
    names |= {"base": md.strip(model), "bundle": bundle, "specs": medyate.specs}
    names |= {"results": results, "panel": Panel(results), "report": random_report(3)}
    names |= {"run": fake_run(), "runs": [fake_run()], "sample": x[0], "label": y[0]}
    names |= {"manifest": bundle.manifest, "training": training, "graph": training.graph}
    names |= {"memory_plan": memory_plan, "plan": memory_plan, "model_graph": trace(model)}
    names |= {"inputs": (x[:1], y[:1].astype(np.int32), np.float32([0.01]), np.int32([1]))}
    names |= {"x_val": x[:8], "y_val": y[:8]}
    names |= {"importance": {spec.name: np.ones(spec.channels) for spec in medyate.specs}}
    return folder, names


def examples(name):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(module, name) if test.examples]


def _modules():
    """Those with examples; none of them is imported."""
    found = sorted(PACKAGE.rglob("*.py"))
    texts = {
        ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts): p.read_text() for p in found
    }
    names = (name.removesuffix(".__init__") for name, text in texts.items() if ">>> " in text)
    return [name for name in names if name.removeprefix("tf_medyate.") not in NOT_RUN]


@pytest.mark.parametrize("name", _modules())
def test_examples(name, world, tmp_path, monkeypatch):
    folder, names = world
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for test in examples(name):
        test.globs = {**vars(importlib.import_module(name)), **names}
        said = []
        runner = doctest.DocTestRunner(Lenient(), verbose=False, optionflags=flags)
        failed, _ = runner.run(test, out=said.append)
        assert not failed, "".join(said)


@pytest.mark.parametrize("page", ["README.md", "docs/using.md"])
def test_a_page_s_python_runs(page, world, tmp_path, monkeypatch):
    _, names = world
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) >= 2
    names = dict(names)
    for block in blocks:
        exec(compile(block, page, "exec"), names)


def test_the_page_of_layers_and_strategies_is_complete():
    text = (ROOT / "docs/using.md").read_text()
    layers = text[text.index("## Layers") : text.index("## Losses")]
    named = {*re.findall(r"`([A-Z]\w+)`", layers)}
    drawn = {"BatchNormalization", "SeparableConv2D", *(kind.__name__ for kind in TWINS)}
    assert drawn | {kind.__name__ for kind in DIVISIBLE} <= named  # docs/layers.md has them all
    assert not [name for name in named if not hasattr(keras.layers, name)]
    rows = dict(re.findall(r"^\| `([a-z][\w-]*)` \| (.*) \|$", text, re.MULTILINE))
    assert rows == {name: strategy.summary for name, strategy in md.PRESETS.items()}


def test_what_is_not_run_exists():
    for name in NOT_RUN:
        assert examples(f"tf_medyate.{name}"), name
