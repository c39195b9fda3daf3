"""The ops for TFLM on a board: they register in a resolver, and the model is train.tflite."""

import re

import pytest
from arduino_build import STAND_INS, export, run
from cpp_build import HOST

from tf_medyate.errors import MedyateError, OptionError
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.builtin_ops import BUILTIN_RECORDS
from tf_medyate.exporter.write.tflm_library import kernel_sources, method_of, write_tflm_library

FLAGS = ("-std=c++14", "-O0", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return export(tmp_path_factory.mktemp("bundle"), 1)


@pytest.fixture(scope="module")
def library(bundle, tmp_path_factory):
    return write_tflm_library(bundle.folder, tmp_path_factory.mktemp("tflm"))


def compile_test(library, *options):
    include = (f"-I{library.folder / 'src'}", f"-I{STAND_INS}")
    return [HOST.compiler, *FLAGS, *include, str(STAND_INS / "tflm_test.cc"), *options]


def test_the_models_ops_register_and_the_model_is_aligned(bundle, library, tmp_path):
    HOST.require()
    sources = map(str, library.folder.glob("src/**/*.cpp"))
    run(compile_test(library, *sources, "-o", "test"), tmp_path)
    lines = run([str(tmp_path / "test")]).splitlines()
    assert lines[0] == "status 0 0"
    names = {op.key: op.name for op in op_schema.OPS}
    assert lines[1].split() == ["ours", *(names[key] for key in library.ops)]
    assert lines[2].split() == ["all", *(op.name for op in op_schema.OPS)]
    assert lines[3] == "again 1 1", "a resolver takes each op once"
    assert lines[4] == "aligned 0"
    assert bytes.fromhex(lines[5]) == (bundle.folder / "train.tflite").read_bytes()
    used = {entry.name for entry in op_schema.OPS if entry.key in library.ops}
    assert {"MEDYATE_CONTROL", "MEDYATE_STASH", "MEDYATE_DENSE_UPDATE"} <= used


def test_every_built_in_op_is_added_by_a_method_that_tflm_has(tmp_path):
    HOST.require()
    calls = [f"  resolver.Add{method_of(kind)}();" for kind in BUILTIN_RECORDS]
    head = ['#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"', "int main() {"]
    kind = f"  tflite::MicroMutableOpResolver<{len(calls)}> resolver;"
    (tmp_path / "calls.cc").write_text("\n".join([*head, kind, *calls, "}", ""]))
    run([HOST.compiler, *FLAGS, f"-I{STAND_INS}", "-fsyntax-only", "calls.cc"], tmp_path)


def test_another_tflm_does_not_compile(library, tmp_path):
    HOST.require()
    run(compile_test(library, "-fsyntax-only"), tmp_path)
    with pytest.raises(AssertionError, match=r"not the TFLM of tflm_abi\.h"):
        run(compile_test(library, "-DTFLM_HAS_MOVED", "-fsyntax-only"), tmp_path)


def test_nothing_is_missing_and_nothing_is_from_the_static_runner(library):
    src = library.folder / "src"
    for path in src.rglob("*.*"):
        for name in re.findall(r'(?m)^#include "(tflm_ops.*)"', path.read_text()):
            assert (src / name).is_file(), f"{path.name}: {name}"
    draw = {path.name for path in kernel_sources() if path.parent.name == "draw"}
    sampler = {"importance.h", "sampler.cc", "sampler.h"}
    assert draw == {*sampler, "training_state.cc", "training_state.h"}
    assert "examples/train_step/train_step.cpp" in library.files
    assert "library.properties" not in library.files, "it has no sketch, and no interpreter"
    assert (library.folder / "about.txt").read_text().startswith("name=MeDyateTFLM\n")
    assert "12 ops" in str(library)


def test_a_bundle_that_was_changed_is_refused(bundle, tmp_path):
    for name in ("plan.json", "train.tflite"):
        (tmp_path / name).write_bytes((bundle.folder / name).read_bytes())
    data = bytearray((tmp_path / "train.tflite").read_bytes())
    data[100] ^= 1
    (tmp_path / "train.tflite").write_bytes(data)
    with pytest.raises(MedyateError, match=r"the digest in plan\.json"):
        write_tflm_library(tmp_path, tmp_path / "out")
    with pytest.raises(OptionError, match="a new folder or one with the library MeDyateTFLM"):
        write_tflm_library(bundle.folder, tmp_path)
