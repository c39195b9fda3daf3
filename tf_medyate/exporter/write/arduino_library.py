"""Folders of Arduino libraries, written over those of an earlier export and over nothing else.

They follow the Arduino library specification, 1.5 and later: what lies in `src/` is compiled with
`src/` as include path. Sources keep their folders, since math/ and kernels/ have files of one name;
they are called .cpp, because older Arduino builders pass over .cc.

Example:
    >>> write_library(pathlib.Path("out/Mine"), "Mine", (), {"src/Mine.h": "#pragma once"}, {})
"""

from __future__ import annotations

import pathlib
import re
import shutil
from collections.abc import Mapping, Sequence

from tf_medyate._version import __version__
from tf_medyate.cpp_sources import SourcesError, source_root
from tf_medyate.errors import OptionError

PROPERTIES = "library.properties"
ABOUT = "about.txt"
"""In place of library.properties where the folder is no Arduino library."""
_TEXTS = (("keywords.txt",), ("LICENSE.txt",), (ABOUT,))

LICENSE = """The examples and the sources under src/tflm_ops are part of tf_medyate, licensed under
the Apache License, Version 2.0. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software distributed under the License is
distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or
implied. See the License for the specific language governing permissions and limitations.

src/medyate_model.*, src/medyate_weights.* and src/medyate_input.h hold a model; they belong to
those who exported it.
"""


def template_folder() -> pathlib.Path:
    """Sketches and headers that are written beside the ops: tflm_ops/arduino.

    Raises:
        SourcesError: It is not there.
    """
    folder = source_root() / "tflm_ops" / "arduino"
    if not (folder / "board_flash.h").is_file():
        remedy = "Install tf_medyate from a checkout: pip install ."
        raise SourcesError("Arduino sources", f"sketches under {folder}", "none", remedy)
    return folder


def library_sources(paths: Sequence[pathlib.Path]) -> dict[str, pathlib.Path]:
    """Sources by their place under `src/`."""
    root = source_root()
    return {
        (path.relative_to(root).parent / source_name(path.name)).as_posix(): path for path in paths
    }


def source_name(name: str) -> str:
    """A file's name in an Arduino library."""
    return re.sub(r"\.cc$", ".cpp", name)


def check_library(folder: pathlib.Path, name: str) -> None:
    """Makes sure that a library may be written to a folder.

    Raises:
        OptionError: The folder holds something else.
    """
    if not folder.exists():
        return
    about = [folder / file for file in (PROPERTIES, ABOUT)]
    ours = any(file.is_file() and file.read_text().startswith(f"name={name}\n") for file in about)
    if not folder.is_dir() or (any(folder.iterdir()) and not ours):
        remedy = "Name another folder, or remove what lies there."
        expected = f"a new folder or one with the library {name}"
        raise OptionError("folder", expected, f"'{folder}'", remedy)


def is_of_library(parts: Sequence[str], examples: Sequence[str]) -> bool:
    """Whether a path in a library's folder is of those that `write_library` writes or replaces."""
    of_examples = len(parts) > 1 and parts[0] == "examples" and parts[1] in examples
    return of_examples or parts[:1] == ("src",) or parts in ((PROPERTIES,), *_TEXTS)


def write_library(
    folder: pathlib.Path,
    name: str,
    examples: Sequence[str],
    texts: Mapping[str, str],
    files: Mapping[str, pathlib.Path],
) -> None:
    """Writes a library's files, over those of an earlier export of ours.

    Args:
        folder: The library's.
        name: As library.properties or about.txt has it.
        examples: Folders under `examples/` that are ours to replace.
        texts: Place in the folder -> content.
        files: Place in the folder -> file that is copied there.

    Raises:
        OptionError: The folder holds something else.
    """
    check_library(folder, name)
    for part in ("src", *(f"examples/{example}" for example in examples)):
        if (folder / part).is_dir():
            shutil.rmtree(folder / part)
    for place in (*texts, *files):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
    for place, text in texts.items():
        (folder / place).write_text(text, encoding="utf-8")
    for place, path in files.items():
        shutil.copyfile(path, folder / place)


def properties(name: str, sentence: str, paragraph: str) -> str:
    """library.properties. A version there has three numbers."""
    version = ".".join(re.findall(r"\d+", __version__)[:3])
    lines = {
        "name": name,
        "version": version,
        "author": "tf_medyate",
        "maintainer": "tf_medyate",
        "sentence": sentence,
        "paragraph": paragraph,
        "category": "Data Processing",
        "url": "https://arxiv.org/abs/2510.20979",
        "architectures": "mbed_nano,mbed",
        "includes": f"{name}.h",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())
