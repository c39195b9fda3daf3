"""Compiles programs for the emulated Cortex-M4F, with the flags of the Arduino IDE."""

from __future__ import annotations

import pathlib
import shlex
import shutil
import subprocess
from collections.abc import Iterable

ROOT = pathlib.Path(__file__).resolve().parents[2]
_COMPILER = "arm-none-eabi-g++"
_FLAGS = (
    "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -std=gnu++14 -Os -Wall -Wextra "
    "-Werror -fno-exceptions -fno-rtti -fno-threadsafe-statics -ffunction-sections -fdata-sections"
)
_COMPILE = shlex.split(_FLAGS)
_LINK_FLAGS = (
    "--specs=rdimon.specs -nostartfiles -Wl,--gc-sections -Wl,--no-warn-rwx-segments "
    "-Wl,--defsym=whole_board=1"  # nets that no Nano holds are counted, too
)
_LINK = shlex.split(_LINK_FLAGS)
_START = ROOT / "tests/tflm_ops/math/cortex_m/startup.cc"
_SCRIPT = ROOT / "tests/tflm_ops/math/cortex_m/link.ld"


def missing_tools() -> list[str]:
    """Programs that are needed and not there."""
    tools = (_COMPILER, "arm-none-eabi-objdump", "arm-none-eabi-nm", "qemu-system-arm")
    return [tool for tool in tools if shutil.which(tool) is None]


def sources(*parts: str) -> list[pathlib.Path]:
    """The .cc files of folders of tflm_ops."""
    return [path for part in parts for path in sorted((ROOT / "tflm_ops" / part).glob("*.cc"))]


def build(
    program: pathlib.Path, files: Iterable[pathlib.Path], includes: Iterable[pathlib.Path] = ()
) -> pathlib.Path:
    """Compiles sources one by one and links them; a map of the program lies beside it.

    Args:
        program: What to write; objects go into a folder beside it.
        files: C++ sources, or assembler (.s); the start-up code is added.
        includes: Folders with headers, besides the root.

    Returns:
        `program`.

    Raises:
        RuntimeError: The compiler's messages.
    """
    folder = program.with_suffix(".objects")
    folder.mkdir(exist_ok=True)
    search = [f"-I{path}" for path in (ROOT, *includes)]
    objects = []
    for file in (*files, _START):
        # Files of different folders may have one name.
        objects.append(str(folder / f"{file.parent.name}-{file.stem}.o"))
        _run([_COMPILER, *_COMPILE, *search, "-c", str(file), "-o", objects[-1]])
    link_map = f"-Wl,-Map={program.with_suffix('.map')}"
    _run([_COMPILER, *_COMPILE, *objects, f"-T{_SCRIPT}", *_LINK, link_map, "-o", str(program)])
    return program


def _run(command: list[str]):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
