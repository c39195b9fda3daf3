"""Compiles a generated model with tests/tflm_ops/trainer/trainer_main.cc, for host or board."""

import dataclasses
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
STRICT = ("-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti")
# All but the weight store, which needs a flash.
RUNTIME = (
    "draw/sampler",
    "draw/schedule",
    "draw/training_state",
    "store/weight_runs",
    "trainer/ram_sink",
    "trainer/sample",
    "trainer/static_runner",
    "trainer/step_trainer",
    "trainer/trainer_status",
)
CORTEX_M = ROOT / "tests/tflm_ops/math/cortex_m"


@dataclasses.dataclass(frozen=True)
class Toolchain:
    """A compiler with its flags, and how its programs are run.

    Attributes:
        compiler: Program name.
        flags: For every source.
        archiver: Program name.
        link: Sources and flags of the program alone.
        run: Words in front of the program's path.
    """

    compiler: str
    flags: tuple[str, ...]
    archiver: str
    link: tuple[str, ...]
    run: tuple[str, ...]

    def require(self):
        """Skips the test, and says so loudly, where a program is missing."""
        programs = [self.compiler, *self.run[:1]]
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            text = f"NOT RUN: no {' and no '.join(missing)} here"
            warnings.warn(text, stacklevel=2)
            pytest.skip(text)

    def library(self) -> pathlib.Path:
        """The ops, the runner and the trainer as a static library; skips the test as `require`."""
        self.require()
        version = _run([self.compiler, "--version"], ROOT)
        return kept(f"{self} {STRICT} {RUNTIME} {version}", self._library) / "libmedyate.a"

    def _library(self, folder: pathlib.Path):
        runtime = [ROOT / f"tflm_ops/{name}.cc" for name in RUNTIME]
        parts = {
            "kernels": sorted(ROOT.glob("tflm_ops/kernels/*.cc")),
            "math": sorted(ROOT.glob("tflm_ops/math/*.cc")),
            "runtime": runtime,
        }
        for name, sources in parts.items():  # files of one name would overwrite each other's object
            part = folder / name
            part.mkdir()
            self.compile(["-c", *map(str, sources)], part)
        objects = sorted(str(path.relative_to(folder)) for path in folder.glob("*/*.o"))
        _run([self.archiver, "qcs", "libmedyate.a", *objects], folder)

    def program(self, model: pathlib.Path, library: pathlib.Path) -> pathlib.Path:
        """Compiles the generated sources in a folder and links the program beside them."""
        main = str(ROOT / "tests/tflm_ops/trainer/trainer_main.cc")
        sources = ["medyate_model.cc", "medyate_weights.cc", main]
        program = model / f"run-{self.compiler}"
        self.compile([*sources, str(library), *self.link, "-o", program.name], model)
        return program

    def output(self, program: pathlib.Path, data: bytes) -> bytes:
        """What the program writes for an input.bin of this content."""
        (program.parent / "input.bin").write_bytes(data)
        (program.parent / "output.bin").unlink(missing_ok=True)
        result = _run([*self.run, f"./{program.name}"], program.parent)
        assert "arena" in result, result
        return (program.parent / "output.bin").read_bytes()

    def compile(self, arguments: list[str], folder: pathlib.Path):
        """Runs the compiler in a folder."""
        _run([self.compiler, *self.flags, *STRICT, f"-I{ROOT}", "-I.", *arguments], folder)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


HOST = Toolchain("c++", _words("-std=c++14 -O2"), "ar", (), ())
CORTEX_M4F = Toolchain(
    "arm-none-eabi-g++",
    _words(
        "-std=gnu++14 -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -Os "
        "-ffunction-sections -fdata-sections -fno-threadsafe-statics"
    ),
    "arm-none-eabi-ar",
    (
        str(CORTEX_M / "startup.cc"),
        f"-T{CORTEX_M / 'link.ld'}",
        *_words("--specs=rdimon.specs -nostartfiles -Wl,--gc-sections -Wl,--no-warn-rwx-segments"),
    ),
    _words(
        "qemu-system-arm -M mps2-an386 -cpu cortex-m4 -nographic -icount shift=0 "
        "-semihosting-config enable=on,target=native -kernel"
    ),
)


def kept(what: str, make: Callable[[pathlib.Path], object]) -> pathlib.Path:
    """The folder that `make` fills: once for this text and these sources, for all tests."""
    digest = hashlib.sha256(what.encode())
    for path in sorted((ROOT / "tflm_ops").glob("*/*.*")):
        digest.update(f"{path.name} ".encode() + path.read_bytes())
    cache = pathlib.Path(
        os.environ.get("MEDYATE_CACHE") or pathlib.Path.home() / ".cache/tf_medyate"
    )
    folder = cache / f"tests-{digest.hexdigest()[:20]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = pathlib.Path(scratch) / "made"
            made.mkdir()
            make(made)
            if not folder.exists():  # else another process was quicker
                made.rename(folder)
    return folder


@functools.cache
def undefined_symbols(archive: pathlib.Path, nm: str) -> set[str]:
    """Names that the objects of a library need from elsewhere."""
    lines = [line.split() for line in _run([nm, "-C", archive.name], archive.parent).splitlines()]
    needed = {" ".join(words[1:]) for words in lines if words and words[0] == "U"}
    defined = {" ".join(words[2:]) for words in lines if len(words) > 2}
    return needed - defined


def symbol(program: pathlib.Path, nm: str, name: str) -> tuple[int, int]:
    """Address and size of what a program calls by that name."""
    listed = _run([nm, "-CS", program.name], program.parent).splitlines()
    [words] = [line.split() for line in listed if line.endswith(f" {name}")]
    return int(words[0], 16), int(words[1], 16)


def _run(command: list[str], folder: pathlib.Path) -> str:
    result = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"
    return result.stdout
