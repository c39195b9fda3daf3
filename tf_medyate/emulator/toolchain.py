"""The compiler for a Cortex-M4F and the emulator of one."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

from tf_medyate.errors import MedyateError

COMPILER = "arm-none-eabi-g++"
OBJCOPY = "arm-none-eabi-objcopy"
SIZE = "arm-none-eabi-size"
NM = "arm-none-eabi-nm"
EMULATOR = "qemu-system-arm"

PACKAGES = {
    COMPILER: "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    EMULATOR: "qemu-system-arm",
}
"""Debian's packages that hold them; the other programs come along with the compiler."""

FLAGS = (
    "-mcpu=cortex-m4",
    "-mthumb",
    "-mfloat-abi=hard",
    "-mfpu=fpv4-sp-d16",
    "-std=gnu++14",
    "-Os",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-ffunction-sections",
    "-fdata-sections",
)
"""As the Arduino IDE compiles for the Nano 33 BLE, and stricter."""


class EmulatorError(MedyateError, RuntimeError):
    """The image of the board cannot be built, or the emulator does not run."""


def missing_programs() -> list[str]:
    """Which of the compiler and the emulator are not there."""
    return [program for program in PACKAGES if shutil.which(program) is None]


def require(*programs: str) -> None:
    """Checks that programs are there.

    Raises:
        EmulatorError: One is not.
    """
    for program in programs:
        if shutil.which(program) is None:
            package = PACKAGES.get(program, PACKAGES[COMPILER])
            remedy = f"Debian: apt-get install {package}."
            raise EmulatorError(program, "a program of this name", "none", remedy)


def run(command: list[str], what: str, folder: pathlib.Path | None = None) -> str:
    """What a program writes to its standard output.

    Raises:
        EmulatorError: It fails; with the end of what it said.
    """
    require(command[0])
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if result.returncode != 0:
        said = (result.stderr or result.stdout)[-3000:].strip()
        raise EmulatorError(
            command[0],
            what,
            f"status {result.returncode}:\n{said}\n",
            "Export the model again with this version of tf_medyate, or make it smaller.",
        )
    return result.stdout
