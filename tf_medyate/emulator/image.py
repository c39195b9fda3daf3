"""Builds the emulated board's image: the firmware with an export's model in it.

Example:
    >>> image = build_image("out/", "out/emulator")
    >>> print(image.sizes)

Objects are kept under a hash of all that decides them, so that a second model takes only a second.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import pathlib
import tempfile

from tf_medyate.cpp_sources import source_root
from tf_medyate.device_key import KEY_HEADER
from tf_medyate.emulator import toolchain
from tf_medyate.emulator.toolchain import EmulatorError
from tf_medyate.exporter.write.cpp_text import HEADER_FILE, MODEL_FILE, WEIGHTS_FILE
from tf_medyate.exporter.write.sources import device_sources
from tf_medyate.spec import format_bytes

FLASH_BYTES = 1 << 20
RAM_BYTES = 256 << 10
CPP_FOLDER = "cpp"

_RUNTIME = ("math", "draw", "store", "kernels", "trainer")
_CODE = (*_RUNTIME, "device", "emulator", "text")
_CODE_NAMES = {
    "device": "protocol",
    "emulator": "firmware of the emulated board",
    "text": "C library",
}
_CONSTANTS = ("constants", "vectors", "ARM.exidx", "init_array")
_LINK = ("--specs=nosys.specs", "-nostartfiles", "-Wl,--gc-sections")


@dataclasses.dataclass(frozen=True)
class ImageSizes:
    """What the image takes, in bytes.

    Attributes:
        code: Flash of the code by part.
        weights: Flash of what can be trained, whole pages.
        constants: Flash of the model's other constants, a factory copy of the weights among them.
        data: Flash of the variables' first values.
        journal: Flash at the end of it that commits go through.
        static: RAM of all variables, the arena among them.
        arena: RAM of the arena.
    """

    code: dict[str, int]
    weights: int
    constants: int
    data: int
    journal: int
    static: int
    arena: int

    @property
    def runtime_code(self) -> int:
        """Flash of maths, ops and runtime."""
        return sum(self.code[name] for name in _RUNTIME)

    @property
    def flash(self) -> int:
        """All flash, the journal included."""
        return sum(self.code.values()) + self.weights + self.constants + self.data + self.journal

    def __str__(self) -> str:
        parts = {
            "maths, ops and runtime": self.runtime_code,
            **{text: self.code[name] for name, text in _CODE_NAMES.items()},
            "weights that can be trained": self.weights,
            "other constants of the model": self.constants,
            "first values of variables": self.data,
            "journal of commits": self.journal,
            "flash in all": self.flash,
            "RAM of all variables": self.static,
            "of it the arena": self.arena,
        }
        width = max(map(len, parts))
        return "\n".join(f"{name:<{width}}  {format_bytes(size)}" for name, size in parts.items())


@dataclasses.dataclass(frozen=True)
class Image:
    """What is flashed.

    Attributes:
        elf: The program with its symbols.
        binary: What lies in flash from byte 0 on, up to the end of the application.
        weights: Where the trained weights lie in it, as (first byte, bytes).
        sizes: What it takes.
    """

    elf: pathlib.Path
    binary: pathlib.Path
    weights: tuple[int, int]
    sizes: ImageSizes


def build_image(
    export: str | pathlib.Path,
    out: str | pathlib.Path,
    *,
    guard_bytes: int = 0,
    hold_every: int = 10,
) -> Image:
    """Compiles the firmware with an export's model in it.

    Args:
        export: Folder that `md.export` wrote with C++ (`cpp/` in it), or one with the three C++
            files themselves. With a device key there, the firmware asks for it.
        out: Folder for `board.elf` and `board.bin`, made if need be.
        guard_bytes: Memory for samples that the board holds back to judge epochs by; 0: no guard.
        hold_every: Every which sample it holds back then.

    Returns:
        The image.

    Raises:
        EmulatorError: There is no compiler, there are no C++ files, or the model does not fit the
            board.
    """
    toolchain.require(toolchain.COMPILER)
    model, out = _model_folder(pathlib.Path(export)), pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    options = (f"-DMEDYATE_GUARD_BYTES={guard_bytes}", f"-DMEDYATE_HOLD_EVERY={hold_every}")
    objects = _compile(model, out, options)
    elf, binary = out / "board.elf", out / "board.bin"
    script = source_root() / "tflm_ops/emulator/board.ld"
    inputs = [*map(str, objects), f"-T{script}"]
    toolchain.run(
        [toolchain.COMPILER, *toolchain.FLAGS, *inputs, *_LINK, "-o", str(elf)],
        "an image that fits the board",
    )
    toolchain.run(
        [toolchain.OBJCOPY, "-O", "binary", "--gap-fill", "0xff", str(elf), str(binary)],
        "the image as bytes",
    )
    sections = _sections(elf)
    return Image(elf, binary, sections[".weights"], _sizes(elf, sections))


def _model_folder(export: pathlib.Path) -> pathlib.Path:
    for folder in (export / CPP_FOLDER, export):
        if all((folder / name).is_file() for name in (HEADER_FILE, MODEL_FILE, WEIGHTS_FILE)):
            return folder.resolve()
    raise EmulatorError(
        "export",
        f"a folder with {CPP_FOLDER}/{HEADER_FILE}, {MODEL_FILE} and {WEIGHTS_FILE}",
        str(export),
        "Export with medyate export --cpp, or md.export(..., firmware=md.FirmwareOptions()).",
    )


# --- objects


def _compile(
    model: pathlib.Path, out: pathlib.Path, options: tuple[str, ...]
) -> list[pathlib.Path]:
    """Objects of all sources; those that there are not yet are compiled, several at a time."""
    root = source_root()
    sources = [path for path in device_sources() if path.suffix == ".cc"]
    emulator = sorted((root / "tflm_ops/emulator").glob("*.cc"))
    headers = [path for path in device_sources() if path.suffix == ".h"]
    headers += sorted((root / "tflm_ops/emulator").glob("*.h"))
    common = _digest(toolchain.FLAGS, (_compiler_version(),), headers)
    of_model = _digest(options, (), [model / HEADER_FILE])
    key = [path for path in (model / KEY_HEADER,) if path.exists()]
    # Objects with a key in them do not go into the cache.
    firmware, place = (_digest(options, (), key), out / "objects") if key else (b"", _cache())
    jobs = [(path, common, (), _cache()) for path in sources]
    jobs += [(path, common + of_model + firmware, options, place) for path in emulator]
    jobs += [(model / name, common + of_model, (), _cache()) for name in (MODEL_FILE, WEIGHTS_FILE)]
    compile_one = functools.partial(_compile_one, (f"-I{root}", f"-I{model}"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, jobs))


def _compile_one(
    includes: tuple[str, ...], job: tuple[pathlib.Path, bytes, tuple[str, ...], pathlib.Path]
) -> pathlib.Path:
    source, digest, options, place = job
    key = hashlib.sha256(digest + source.read_bytes()).hexdigest()[:20]
    # board.ld goes by the name of the folder and, for the model, of the file.
    target = place / key / source.parent.name / f"{source.stem}.o"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        built = pathlib.Path(scratch) / target.name
        command = [toolchain.COMPILER, *toolchain.FLAGS, *options, *includes]
        toolchain.run([*command, "-c", str(source), "-o", str(built)], f"{source.name} to compile")
        built.replace(target)  # at once, so that another process never sees half an object
    return target


def _cache() -> pathlib.Path:
    folder = os.environ.get("MEDYATE_CACHE") or pathlib.Path.home() / ".cache" / "tf_medyate"
    return pathlib.Path(folder) / "board"


@functools.cache
def _compiler_version() -> str:
    return toolchain.run([toolchain.COMPILER, "--version"], "its version")


def _digest(flags: tuple[str, ...], words: tuple[str, ...], files: list[pathlib.Path]) -> bytes:
    digest = hashlib.sha256("\0".join((*flags, *words)).encode())
    for path in files:
        content = path.read_bytes()
        digest.update(f"\0{path.parent.name}/{path.name} {len(content)}\0".encode())
        digest.update(content)
    return digest.digest()


# --- sizes


def _sections(elf: pathlib.Path) -> dict[str, tuple[int, int]]:
    """(address, bytes) by name."""
    listed = toolchain.run([toolchain.SIZE, "-A", str(elf)], "the sizes of its sections")
    rows = [line.split() for line in listed.splitlines()]
    rows = [row for row in rows if len(row) == 3 and row[1].isdigit()]
    return {name: (int(address), int(size)) for name, size, address in rows}


def _sizes(elf: pathlib.Path, sections: dict[str, tuple[int, int]]) -> ImageSizes:
    def size(name: str) -> int:
        return sections.get(f".{name}", (0, 0))[1]

    symbols = toolchain.run([toolchain.NM, "-CS", str(elf)], "its symbols").splitlines()
    words = {line.rsplit(" ", 1)[-1]: line.split() for line in symbols}

    def address(symbol: str) -> int:
        return int(words[symbol][0], 16)

    [arena] = [line.split() for line in symbols if line.endswith("(anonymous namespace)::arena")]
    return ImageSizes(
        code={name: size(name) for name in _CODE},
        weights=size("weights"),
        constants=sum(size(name) for name in _CONSTANTS),
        data=size("data"),
        journal=FLASH_BYTES - address("_journal_begin"),
        static=address("_bss_end") - address("_data_begin"),
        arena=int(arena[1], 16),
    )
