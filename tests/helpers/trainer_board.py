"""A board as a program: an exported model, a real trainer, flash in a file, TCP."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from cpp_build import ROOT, kept

import tf_medyate as md
from tf_medyate import cli

_FLAGS = ("-std=c++14", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti")
_ROOMS = ("draw", "store", "trainer")
_DEVICE = (
    *("framing", "session", "class_names", "trainer_handler", "trainer_handler_status"),
    *("sha256", "signed_handler"),
)

L = keras.layers
NAMES = ["rest", "walk", "jump"]
SPARE = 2


def samples(n, seed, classes=4):
    """Vectors around one centre for each class; the model was trained on the first three."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(0, 2, (classes, 6))
    y = np.arange(n) % classes
    return (centres[y] + rng.normal(0, 0.5, (n, 6))).astype(np.float32), y


def exported(folder, factory_copy, seed=3, key=""):
    """A small classifier with two spare classes, its firmware's sources and its Keras file."""
    keras.utils.set_random_seed(seed)
    base = keras.Sequential(
        [L.Input((6,)), L.Dense(12, activation="relu"), L.Dense(3, activation="softmax")]
    )
    x, y = samples(96, 1, 3)
    base.compile("adam", "sparse_categorical_crossentropy")
    base.fit(x, y, epochs=12, batch_size=8, verbose=0)
    wider = md.add_spare_classes(base, SPARE)
    folder.mkdir()
    wider.save(folder / "base.keras")
    model = md.prepare(wider)
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    plan = md.MeDyate("2KiB", calibration=(x, y), verbose=0)
    plan.set_model(model)
    options = md.FirmwareOptions(
        class_names=NAMES, spare_classes=SPARE, factory_copy=factory_copy, device_key=key
    )
    md.export(model, folder, plan, firmware=options)
    return folder


def medyate_device(port, *words):
    """The command."""
    args = cli.parse(["device", "--port", port, *map(str, words)])
    args.run(args)


def _build_library(folder):
    """Compiles everything but the model, which takes some seconds."""
    groups = {
        "kernels": sorted(ROOT.glob("tflm_ops/kernels/*.cc")),
        "math": sorted(ROOT.glob("tflm_ops/math/*.cc")),
        "rest": [
            *(path for room in _ROOMS for path in sorted((ROOT / "tflm_ops" / room).glob("*.cc"))),
            *(ROOT / f"tflm_ops/device/{name}.cc" for name in _DEVICE),
        ],
    }

    def compile_group(name):
        part = folder / name  # files of one name would overwrite each other's object
        part.mkdir()
        _compile(["-c", *map(str, groups[name])], part)
        return [str(path) for path in part.glob("*.o")]

    with ThreadPoolExecutor(2) as pool:
        objects = [path for part in pool.map(compile_group, groups) for path in part]
    subprocess.run(["ar", "qcs", str(folder / "libmedyate.a"), *objects], check=True)


def build_board(export):
    """The program of an exported folder."""
    library = kept(f"board {_FLAGS} {_ROOMS} {_DEVICE}", _build_library) / "libmedyate.a"
    program = export / "board"
    sources = [
        ROOT / "tests/tflm_ops/device/trainer_host.cc",
        *sorted((export / "cpp").glob("*.cc")),
    ]
    words = [f"-I{export / 'cpp'}", *map(str, sources), str(library), "-o", str(program)]
    _compile(words, export)
    return program


def _compile(words, folder):
    compiler = shutil.which("c++")
    assert compiler, "no C++ compiler: apt-get install g++"
    subprocess.run([compiler, *_FLAGS, f"-I{ROOT}", *words], check=True, cwd=folder)


class Board:
    """The program, listening on `name`; what it learned stays in `flash` when it is stopped."""

    def __init__(self, program, flash, hold_every=None):
        words = [str(program), str(flash), *([str(hold_every)] if hold_every is not None else [])]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.name = f"tcp:127.0.0.1:{int(self._process.stdout.readline())}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
