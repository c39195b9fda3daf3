"""Builds our TFLM ops into a shared library with the plain C++ compiler.

Example:
    >>> from tf_medyate.simulate import build_plugin
    >>> build_plugin()  # a few seconds the first time, then kept
    PosixPath('/home/you/.cache/tf_medyate/<hash>/libmedyate_ops.so')

The library is kept under a hash of its sources, flags and compiler, so it is built again exactly
when one of them changes. `MEDYATE_CACHE` names another folder, `CXX` another compiler.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tf_medyate.errors import MedyateError

_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("math", "runtime", "kernels", "host")
_NAME = "libmedyate_ops.so"
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


class PluginError(MedyateError, RuntimeError):
    """The op library cannot be built or loaded: no compiler, no sources, or a failed build."""


def plugin_path() -> Path:
    """Where the op library of the present sources lies, built or not.

    Raises:
        PluginError: No compiler, or no sources.
    """
    folder = os.environ.get("MEDYATE_CACHE") or Path.home() / ".cache" / "tf_medyate"
    return Path(folder) / _content_hash(_compiler(), _sources()) / _NAME


def build_plugin() -> Path:
    """Builds the op library if these sources have not been built before.

    Returns:
        The path of the shared library.

    Raises:
        PluginError: No compiler, no sources, or the compiler failed (with what it printed).
    """
    path = plugin_path()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            built = Path(scratch) / _NAME
            _compile(built)
            built.replace(path)  # at once, so that another process never sees half a library
    return path


def _compiler() -> str:
    name = os.environ.get("CXX", "c++")
    found = shutil.which(name)
    if found is None:
        remedy = "Install one (Debian: apt-get install g++), or name yours in CXX."
        raise PluginError("C++ compiler", "a compiler for C++14", f"no program {name!r}", remedy)
    return found


def _sources() -> list[Path]:
    base = _ROOT / "tflm_ops"
    sources = [path for folder in _FOLDERS for path in sorted((base / folder).glob("*.cc"))]
    if not any(path.parent.name == "host" for path in sources):
        remedy = "Install tf_medyate from a checkout: pip install --editable ."
        raise PluginError("op sources", f"C++ files under {base}", "none", remedy)
    return sources


def _content_hash(compiler: str, sources: list[Path]) -> str:
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False)
    digest.update(version.stdout)
    headers = [path for folder in _FOLDERS for path in (_ROOT / "tflm_ops" / folder).glob("*.h")]
    for path in sorted([*sources, *headers]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_ROOT)} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()[:20]


def _compile(target: Path) -> None:
    command = [_compiler(), *_FLAGS, f"-I{_ROOT}", *map(str, _sources()), "-o", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        remedy = "Check that the compiler knows C++14 (GCC 7 or Clang 6 and later)."
        received = f"status {result.returncode}:\n{result.stderr[-4000:]}"
        raise PluginError("C++ compiler", "the op library to compile", received, remedy)
