"""Compiles Arduino libraries and sketches as the IDE does, against tests/tflm_ops/arduino."""

import concurrent.futures
import dataclasses
import pathlib
import re
import subprocess

import keras
import numpy as np
from cpp_build import CORTEX_M4F, HOST, ROOT, STRICT, Toolchain

import tf_medyate as md
from tf_medyate.exporter.bundle import Bundle
from tf_medyate.exporter.write.arduino import SensorInput

STAND_INS = ROOT / "tests/tflm_ops/arduino"
# Arduino's mbed core compiles so, but for STRICT; char has no sign there.
_AS_ARDUINO = ("-std=gnu++14", "-funsigned-char", *STRICT)
FLAGS = {
    HOST: ("-O1", *_AS_ARDUINO),
    CORTEX_M4F: (*CORTEX_M4F.flags, *_AS_ARDUINO, "-DARDUINO_ARDUINO_NANO33BLE"),
}
JOBS = 2

WINDOW = (20, 6)
NAMES = ("rest", "shake")
# The stand-in of the motion sensor turns by about 90 degrees a second.
SENSOR = SensorInput(WINDOW, rate_hz=40, scale=[1, 1, 1, 1 / 90, 1 / 90, 1 / 90])


def export(folder: pathlib.Path, seed: int, frozen: str = "float32") -> Bundle:
    """A small untrained net for two motions, and one more to come.

    Behind a front of 8 bits, samples are in 8 bits.
    """
    keras.utils.set_random_seed(seed)
    base = keras.Sequential(
        [
            keras.Input(WINDOW),
            keras.layers.Conv1D(8, 5, strides=2, activation="relu"),
            keras.layers.Conv1D(12, 3, activation="relu", name="second"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model = md.prepare(md.add_spare_classes(base, 1))
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    x = np.random.default_rng(seed).normal(size=(40, *WINDOW)).astype(np.float32)
    layers = ["second"] if frozen == "int8" else None
    medyate = md.MeDyate("4KiB", seed=3, calibration=(x, np.arange(40) % 2), layers=layers)
    medyate.set_model(model)
    options = md.FirmwareOptions(class_names=NAMES, spare_classes=1)
    return md.export(model, folder, medyate, None, x, firmware=options, frozen=frozen)


@dataclasses.dataclass(frozen=True)
class Built:
    """A library's objects, and where its headers lie."""

    toolchain: Toolchain
    src: pathlib.Path
    objects: tuple[pathlib.Path, ...]

    def compile(self, source: pathlib.Path, *options: str) -> pathlib.Path:
        """Compiles a source of a sketch or of the stand-ins."""
        target = source.with_suffix(".o")
        include = (f"-I{STAND_INS}", f"-I{self.src}")
        flags = (*FLAGS[self.toolchain], *options, *include)
        run([self.toolchain.compiler, *flags, "-c", str(source), "-o", str(target)])
        return target


def build(toolchain: Toolchain, library: pathlib.Path, folder: pathlib.Path) -> Built:
    """Compiles all that lies in a library's src/, with src/ alone as include path."""
    src = library / "src"

    def compile_one(source: pathlib.Path) -> pathlib.Path:
        target = folder / ("_".join(source.relative_to(src).parts) + ".o")
        flags = (*FLAGS[toolchain], f"-I{src}")
        run([toolchain.compiler, *flags, "-c", str(source), "-o", str(target)])
        return target

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return Built(toolchain, src, tuple(pool.map(compile_one, sorted(src.rglob("*.cpp")))))


def sketch_source(
    sketch: pathlib.Path, target: pathlib.Path, prototypes: bool = True, **defines: str
) -> pathlib.Path:
    """Makes C++ of a sketch: Arduino.h in front, and prototypes before the first function.

    Args:
        sketch: An .ino file.
        target: The C++ file.
        prototypes: False: as an editor that knows nothing of Arduino would compile it.
        defines: Values for #define lines of the sketch.
    """
    text = sketch.read_text()
    for name, value in defines.items():
        text, count = re.subn(rf"(?m)^#define {name} .*$", f"#define {name} {value}", text)
        assert count == 1, name
    functions = list(re.finditer(r"(?m)^[a-zA-Z][\w:*& ]* \*?\w+\([^;{}]*\) \{", text))
    assert len(functions) >= 2, "setup and loop"
    if prototypes:
        lines = "".join(f"{match[0][:-2]};\n" for match in functions)
        at = functions[0].start()
        text = f"{text[:at]}{lines}{text[at:]}"
    target.write_text(f"#include <Arduino.h>\n{text}")
    return target


def run(command: list[str], folder: pathlib.Path | None = None, text: str | None = None) -> str:
    """Runs a program; what it prints."""
    result = subprocess.run(
        command, cwd=folder, input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"
    return result.stdout


def undefined(objects: tuple[pathlib.Path, ...], nm: str) -> set[str]:
    """Names that objects need from elsewhere, demangled."""
    lines = [line.split(None, 2) for line in run([nm, "-C", *map(str, objects)]).splitlines()]
    needed = {" ".join(words[1:]) for words in lines if words and words[0] == "U"}
    # C1 and C2 constructors, weak functions: whatever any object defines.
    return needed - {words[2] for words in lines if len(words) == 3 and words[1] != "U"}
