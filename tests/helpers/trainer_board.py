"""A board as a program: an exported model, a real trainer, flash in a file, TCP."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FLAGS = ("-std=c++14", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti")
_ROOMS = ("draw", "store", "trainer")
_DEVICE = ("framing", "session", "class_names", "trainer_handler", "trainer_handler_status")


def build_library(folder):
    """Compiles everything but the model, which takes some seconds; returns a static library."""
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
    library = folder / "libmedyate.a"
    subprocess.run(["ar", "qcs", str(library), *objects], check=True)
    return library


def build_board(export, library):
    """The program of an exported folder."""
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
