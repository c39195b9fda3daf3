"""Whatever arena is given: it works or is refused; where that fails the process is gone."""

import json
import subprocess
import sys

import keras
import pytest
from exported import ready

import tf_medyate as md
from tf_medyate.exporter import ArenaLimitError
from tf_medyate.exporter import bundle as bundle_module

L = keras.layers


def dense(*units):
    hidden = [L.Dense(n, activation="relu") for n in units[1:-1]]
    return keras.Sequential(
        [keras.Input((units[0],)), *hidden, L.Dense(units[-1], activation="softmax")]
    )


def wide():
    """Its tensors take more than TFLM's planner does."""
    layers = [L.Conv2D(8, 3, padding="same"), L.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((16, 16, 3)), *layers, L.Dense(3, activation="softmax")])


NETS = {
    "tiny": (lambda: dense(2, 2), {"budget": None, "strategy": "head"}),
    "three layers": (lambda: dense(12, 24, 16, 3), {"budget": "2KiB"}),
    "deep": (lambda: dense(4, *[4] * 12, 2), {"budget": "1KiB"}),
    "wide": (wide, {"budget": "8KiB", "strategy": "d-full-random"}),
}

CHILD = """
import json, re, sys
import numpy as np
from tf_medyate.simulate import Interpreter, InterpreterError, TFLMTrainer

def refused(make):
    try:
        make()
    except InterpreterError as error:
        return str(error)
    return ""

found = {}
for folder in sys.argv[1:]:
    named = refused(lambda: TFLMTrainer(folder, arena_bytes=16))
    needed = int(re.search(r"at least ([0-9,]+) bytes", named)[1].replace(",", ""))
    for size in range(needed - 40, needed):
        assert f"{needed:,} bytes" in refused(lambda: TFLMTrainer(folder, arena_bytes=size))
    for size in range(needed, needed + 40):
        trainer = TFLMTrainer(folder, arena_bytes=size)
        assert trainer.arena_bytes <= size
        assert np.isfinite(trainer.step(np.ones(trainer.manifest.input_shape), 0))
    data = open(f"{folder}/train.tflite", "rb").read()
    for size in range(0, needed + 24, 24):
        refused(lambda: Interpreter(data, size))
    found[folder] = needed, trainer.arena_bytes
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Net -> its model, callback and bundle; without model.tflite, which takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_module, "write_plain", lambda _, path, *a, **k: path.touch())
        made = {}
        for name, (net, options) in NETS.items():
            model, medyate, _ = ready(net(), **options)
            folder = tmp_path_factory.mktemp("net")
            made[name] = model, medyate, md.export(model, folder, medyate)
        yield made


def test_every_byte_count_works_or_is_refused(exported):
    folders = [str(bundle.folder) for *_, bundle in exported.values()]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *folders], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr[-2000:]
    found = json.loads(child.stdout)
    for name, (*_, bundle) in exported.items():
        needed, reported = found[str(bundle.folder)]
        assert needed == bundle.arena.needed_bytes
        assert reported <= bundle.arena.total_bytes <= needed
        assert (reported < needed - 32) == (name != "wide"), "the planner needs more than the net"


@pytest.mark.parametrize("name", NETS)
def test_the_limit_that_is_named_is_kept(name, exported, tmp_path):
    model, medyate, bundle = exported[name]
    with pytest.raises(ArenaLimitError, match="at least") as error:
        md.export(model, tmp_path / "no", medyate, arena_limit=16)
    needed = 16 + error.value.excess_bytes
    assert needed <= bundle.arena.needed_bytes, "less scratch memory than without a limit"
    fits = md.export(model, tmp_path, medyate, arena_limit=needed)
    assert md.simulate.TFLMTrainer(fits, arena_bytes=needed).arena_bytes <= needed
