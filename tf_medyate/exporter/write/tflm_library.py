"""The training step for TensorFlow Lite Micro on a board: its ops, and train.tflite as an array.

Example:
    >>> print(write_tflm_library("out/", "out/tflm/MeDyateTFLM"))
    TFLM ops in out/tflm/MeDyateTFLM: ... files, ... ops, train.tflite of ... bytes
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
from collections.abc import Iterable

from tf_medyate.cpp_sources import source_root
from tf_medyate.exporter.manifest import PLAN_FILE, TRAIN_FILE, Manifest, read_file, read_manifest
from tf_medyate.exporter.memory.arena import HOST, Counts
from tf_medyate.exporter.memory.placing import ALIGNMENT_BYTES
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.write.arduino_library import (
    ABOUT,
    LICENSE,
    library_sources,
    template_folder,
    write_library,
)
from tf_medyate.exporter.write.cpp_text import CTYPES, NOTICE, cpp_float
from tf_medyate.private_apis import tflite_schema

LIBRARY = "MeDyateTFLM"
HEADER = "medyate_tflm.h"
MODEL_HEADER = "medyate_train_model.h"
MODEL_SOURCE = "medyate_train_model.cpp"
EXAMPLE = "train_step"
EXAMPLES = (EXAMPLE,)
_ABOUT = f"""
Training ops for TensorFlow Lite Micro, and one exported training step that uses them. Written by
tf_medyate.

This is no Arduino library: TFLM's interpreter, which is to run it, is not included. Add the files
under src/ to a project that has TFLM at the commit of src/tflm_ops/kernels/tflm_abi.h, with src/ as
an include path, and include {HEADER}. examples/{EXAMPLE} shows a training step.
"""
_BYTES_A_LINE = 20
_KEYS = {op.name: op.key for op in op_schema.OPS}


@dataclasses.dataclass(frozen=True)
class TflmLibrary:
    """What was written.

    Attributes:
        folder: Sources in `src/`, which is the include path.
        files: All files, relative to it, sorted.
        ops: Keys of the ops that the model uses, as in `RegisterDense`.
        model_bytes: Size of train.tflite.
    """

    folder: pathlib.Path
    files: tuple[str, ...]
    ops: tuple[str, ...]
    model_bytes: int

    def __str__(self) -> str:
        return (
            f"TFLM ops in {self.folder}: {len(self.files)} files, {len(self.ops)} ops, "
            f"{TRAIN_FILE} of {self.model_bytes:,} bytes"
        )


def write_tflm_library(
    bundle: str | pathlib.Path, folder: str | pathlib.Path, name: str = LIBRARY
) -> TflmLibrary:
    """Writes our ops, ready to be registered in a MicroMutableOpResolver, and the training graph.

    Args:
        bundle: Folder that `md.export` wrote.
        folder: Folder to write to, made if need be; an earlier export there is replaced.
        name: Of the library.

    Returns:
        What was written.

    Raises:
        BundleError: The bundle is none, or was changed.
        OptionError: `folder` holds something else.
        SourcesError: The C++ sources are not there.
    """
    bundle, folder = pathlib.Path(bundle), pathlib.Path(folder)
    manifest = read_manifest(bundle / PLAN_FILE)
    data = read_file(bundle, TRAIN_FILE, manifest)
    ops = ops_of(data)
    glue = template_folder() / "tflm"
    texts = {
        ABOUT: f"name={name}\n{_ABOUT}",
        "LICENSE.txt": LICENSE,
        f"src/{HEADER}": _header(ops, builtin_of(data)),
        f"src/{MODEL_HEADER}": _model_header(manifest, HOST.planning_bytes(Counts.of_tflite(data))),
        f"src/{MODEL_SOURCE}": _model_source(data),
    }
    files = {f"src/{place}": path for place, path in library_sources(kernel_sources()).items()}
    files["src/tflm_ops/arduino/tflm/resolver.h"] = glue / "resolver.h"
    files[f"examples/{EXAMPLE}/{EXAMPLE}.cpp"] = glue / f"{EXAMPLE}.cc"
    write_library(folder, name, EXAMPLES, texts, files)
    return TflmLibrary(folder, tuple(sorted([*texts, *files])), ops, len(data))


def kernel_sources() -> list[pathlib.Path]:
    """The ops, and whatever of tflm_ops they include, sorted."""
    root = source_root()
    found: set[pathlib.Path] = set()
    waiting = [*(root / "tflm_ops/kernels").glob("*.cc"), *(root / "tflm_ops/kernels").glob("*.h")]
    waiting.append(root / "tflm_ops/trainer/sample.h")
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        included = re.findall(r'(?m)^#include "(.*)"', path.read_text(encoding="utf-8"))
        headers = [root / name for name in included]
        twins = [header.with_suffix(".cc") for header in headers]
        waiting += [*headers, *(twin for twin in twins if twin.is_file())]
    return sorted(found)


def ops_of(tflite: bytes) -> tuple[str, ...]:
    """Keys of our ops that a .tflite uses, sorted."""
    schema = tflite_schema()
    model = schema.Model.GetRootAs(tflite)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    names = {code.CustomCode() or b"" for code in codes if code}
    return tuple(sorted(_KEYS[name.decode()] for name in names if name))


def builtin_of(tflite: bytes) -> tuple[str, ...]:
    """TFLM's built-in ops that a .tflite uses, as a resolver's methods call them, sorted."""
    schema = tflite_schema()
    model = schema.Model.GetRootAs(tflite)
    kinds = {n: name for name, n in vars(schema.BuiltinOperator).items() if name.isupper()}
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    names = {kinds[code.BuiltinCode()] for code in codes if code and not code.CustomCode()}
    return tuple(sorted(map(method_of, names)))


def method_of(kind: str) -> str:
    """How a resolver of TFLM calls a built-in op: `AddMaxPool2D` adds a "MAX_POOL_2D"."""
    words = "".join(word.capitalize() for word in kind.split("_")).replace("2d", "2D")
    return _METHODS.get(kind, words)


_METHODS = {"BATCH_MATMUL": "BatchMatMul", "CUMSUM": "CumSum", "PADV2": "PadV2"}


def _header(ops: Iterable[str], builtin: Iterable[str]) -> str:
    every = _calls(op.key for op in op_schema.OPS)
    return f"""#ifndef MEDYATE_TFLM_H_
#define MEDYATE_TFLM_H_

{NOTICE}

//   static tflite::MicroMutableOpResolver<medyate::kTrainOps> resolver;
//   if (medyate::AddOps(&resolver) != kTfLiteOk) ...

#include "tflm_ops/arduino/tflm/resolver.h"
#include "tflm_ops/schema/op_options.h"

namespace medyate {{

// How many ops train.tflite uses, and how many there are.
constexpr unsigned kTrainOps = {len(list(ops)) + len(list(builtin))};
constexpr unsigned kAllOps = {len(every)};

// Adds the ops of train.tflite.
template <unsigned N>
TfLiteStatus AddOps(tflite::MicroMutableOpResolver<N>* resolver) {{
  static_assert(N >= kTrainOps, "make the resolver larger");
  const tflm::Registration ops[] = {{
{_lines(_calls(ops))}
  }};
{_lines_of_builtin(builtin)}  return AddRegistrations(ops, {len(list(ops))}, resolver);
}}

// Adds every op, for any model.
template <unsigned N>
TfLiteStatus AddAllOps(tflite::MicroMutableOpResolver<N>* resolver) {{
  static_assert(N >= kAllOps, "make the resolver larger");
  const tflm::Registration ops[kAllOps] = {{
{_lines(every)}
  }};
  return AddRegistrations(ops, kAllOps, resolver);
}}

}}  // namespace medyate

#endif  // MEDYATE_TFLM_H_
"""


def _lines_of_builtin(names: Iterable[str]) -> str:
    return "".join(
        f"  if (resolver->Add{name}() != kTfLiteOk) return kTfLiteError;\n" for name in names
    )


def _calls(keys: Iterable[str]) -> list[str]:
    return [f"Register{key}()," for key in keys]


def _lines(calls: Iterable[str]) -> str:
    return "\n".join(f"      {call}" for call in calls)


def _model_header(manifest: Manifest, planning_bytes: int) -> str:
    inputs, kind = math.prod(manifest.input_shape), manifest.sample
    stored = "number"
    if kind.is_int8:
        values = ", ".join(map(cpp_float, (kind.factor, kind.offset, kind.scale)))
        stored = f"Stored({{{values}, {kind.zero}}}, number)"
    host_bytes = max(manifest.memory.arena_bytes, planning_bytes)
    return f"""#ifndef MEDYATE_TRAIN_MODEL_H_
#define MEDYATE_TRAIN_MODEL_H_

{NOTICE}

#include "tflm_ops/trainer/sample.h"

namespace medyate {{

// What the sample is made of: {kind}.
typedef {CTYPES[kind.dtype]} TrainNumber;
constexpr int kTrainInputs = {inputs};

// A number of the model's input as it is kept there.
inline TrainNumber TrainStored(float number) {{ return {stored}; }}

// Of TFLM's arena, with what its memory planner needs for a moment: on a board, and on a 64-bit
// host, whose pointers are larger.
constexpr unsigned kTrainArenaBytes =
    sizeof(void*) == 4 ? {manifest.memory.board_arena_bytes} : {host_bytes};

extern const unsigned char kTrainModel[];
extern const unsigned kTrainModelBytes;

}}  // namespace medyate

#endif  // MEDYATE_TRAIN_MODEL_H_
"""


def _model_source(data: bytes) -> str:
    rows = (data[i : i + _BYTES_A_LINE] for i in range(0, len(data), _BYTES_A_LINE))
    numbers = "\n".join(f"    {', '.join(str(byte) for byte in row)}," for row in rows)
    return f"""{NOTICE}

#include "{MODEL_HEADER}"

namespace medyate {{

// TFLM reads constants where they lie: the file's own alignment holds from here on.
alignas({ALIGNMENT_BYTES}) extern const unsigned char kTrainModel[] = {{
{numbers}
}};
extern const unsigned kTrainModelBytes = sizeof(kTrainModel);

}}  // namespace medyate
"""
