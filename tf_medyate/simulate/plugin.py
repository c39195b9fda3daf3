"""Builds our TFLM ops into a shared library with the plain C++ compiler.

Example:
    >>> from tf_medyate.simulate import build_plugin
    >>> build_plugin()  # a few seconds the first time, then kept
    PosixPath('.../libmedyate_ops.so')

`pip install .` builds it once and puts it into the package. In a checkout it is kept under a hash
of its sources, flags and compiler, so it is built again exactly when one of them changes.
`MEDYATE_CACHE` names another folder, `CXX` another compiler.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tf_medyate.cpp_sources import PACKAGE, PACKAGED, SourcesError, source_root

LIBRARY = "libmedyate_ops.so"

_FOLDERS = ("schema", "math", "draw", "kernels", "host")
_FLAGS = (
    "-std=c++14",
    "-O2",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-exceptions",
    "-fno-rtti",
    "-Wall",
    "-Wextra",
)


class PluginError(SourcesError):
    """The op library cannot be built or loaded: no compiler, no sources, or a failed build."""


def source_files(root: Path) -> list[Path]:
    """The library's C++ sources and headers, sorted.

    Raises:
        PluginError: There are none.
    """
    base = root / "tflm_ops"
    files = [p for f in _FOLDERS for p in (base / f).glob("*.*") if p.suffix in (".cc", ".h")]
    if not any(path.parent.name == "host" for path in files):
        remedy = "Install tf_medyate from a checkout: pip install ."
        raise PluginError("op sources", f"C++ files under {base}", "none", remedy)
    return sorted(files)


def plugin_path() -> Path:
    """Where the op library of the present sources lies, built or not.

    Raises:
        PluginError: No compiler, or no sources.
    """
    built = PACKAGE / PACKAGED / LIBRARY
    if built.exists():
        return built
    root = source_root()
    folder = os.environ.get("MEDYATE_CACHE") or Path.home() / ".cache" / "tf_medyate"
    return Path(folder) / _content_hash(_compiler(), root) / LIBRARY


def build_plugin() -> Path:
    """Builds the op library if these sources have not been built before.

    Returns:
        The path of the shared library.

    Raises:
        PluginError: No compiler, no sources, or the compiler failed (with what it printed).
    """
    path = plugin_path()
    if not path.exists():
        compile_library(source_root(), path)
    return path


def compile_library(root: Path, target: Path) -> None:
    """Compiles the sources under `root` into `target`.

    Raises:
        PluginError: No compiler, no sources, or the compiler failed (with what it printed).
    """
    compiler = _compiler()
    sources = [str(path) for path in source_files(root) if path.suffix == ".cc"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        built = Path(scratch) / LIBRARY
        command = [compiler, *_FLAGS, f"-I{root}", *sources, "-o", str(built)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            remedy = "Check that the compiler knows C++14 (GCC 7 or Clang 6 and later)."
            received = f"status {result.returncode}:\n{result.stderr[-4000:]}"
            raise PluginError("C++ compiler", "the op library to compile", received, remedy)
        built.replace(target)  # at once, so that another process never sees half a library


def _compiler() -> str:
    name = os.environ.get("CXX", "c++")
    found = shutil.which(name)
    if found is None:
        remedy = "Install one (Debian: apt-get install g++), or name yours in CXX."
        raise PluginError("C++ compiler", "a compiler for C++14", f"no program {name!r}", remedy)
    return found


def _content_hash(compiler: str, root: Path) -> str:
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False)
    digest.update(version.stdout)
    for path in source_files(root):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()[:20]
