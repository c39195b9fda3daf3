"""The op schema's header, the plug-in's build, and the interpreter around them."""

import concurrent.futures
import os
import stat
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from simulate_graph import Graph, pack_selection

from tf_medyate import cpp_sources
from tf_medyate.errors import OptionError
from tf_medyate.exporter.ops import header as op_header
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.simulate import Interpreter, InterpreterError, PluginError, interpreter, plugin

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("place", op_header.HEADERS)
def test_the_committed_headers_are_the_generated_ones(place):
    assert (ROOT / "tflm_ops" / place).read_text() == op_header.HEADERS[place]()


def test_no_op_name_is_written_anywhere_else():
    quoted = [f'"{op.name}"' for op in op_schema.OPS]
    home = {
        "tf_medyate/exporter/ops/schema.py",
        "tf_medyate/exporter/ops/adam_schema.py",
        "tf_medyate/exporter/ops/int8_schema.py",
        "tf_medyate/exporter/ops/elementwise_schema.py",
        "tf_medyate/exporter/ops/frozen_schema.py",
        "tflm_ops/schema/op_options.h",
    }
    for folder, ending in [("tf_medyate", "py"), ("tflm_ops", "cc"), ("tflm_ops", "h")]:
        for path in (ROOT / folder).rglob(f"*.{ending}"):
            if path.relative_to(ROOT).as_posix() not in home:
                assert not [name for name in quoted if name in path.read_text()], path


@pytest.mark.parametrize("op", op_schema.OPS, ids=lambda op: op.name)
def test_options_come_back_as_packed(op):
    rng = np.random.default_rng(0)
    values = {"version": op_schema.VERSION}
    for field in op.options.fields[1:]:
        low, high = field.limits or (0, 8)
        numbers = tuple(int(v) for v in rng.integers(low, high + 1, max(field.count, 1)))
        values[field.name] = numbers if field.count else numbers[0]
    data = op.options.pack(**values)
    assert len(data) == op.options.size_bytes
    assert op.options.unpack(data) == values


def test_wrong_options_say_what_is_wrong():
    dense = op_schema.DENSE.options
    with pytest.raises(OptionError, match="units"):
        dense.pack(inputs=3)
    with pytest.raises(OptionError, match="unit_count"):
        dense.pack(inputs=3, units=2, unit_count=2)
    with pytest.raises(OptionError, match="inputs"):
        dense.pack(inputs=2**31, units=2)
    with pytest.raises(OptionError, match=r"inputs: expected 1 to 65,535; received 65536"):
        dense.pack(inputs=65536, units=2)
    with pytest.raises(OptionError, match="inputs"):
        dense.pack(inputs=(1, 2), units=2)
    with pytest.raises(OptionError, match=f"{dense.size_bytes} bytes"):
        dense.unpack(b"")
    with pytest.raises(OptionError, match="version"):
        dense.unpack(dense.pack(inputs=3, units=2, version=9))


def test_selection_slot():
    slot = pack_selection([1, 5, 70], capacity=5, run_offset=40)
    assert slot.tolist() == [3, 40, 1 | 5 << 16, 70, 0]
    assert len(slot) == op_schema.selection_words(5)


def test_build_is_kept_until_something_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDYATE_CACHE", str(tmp_path))
    path = plugin.build_plugin()
    assert path == plugin.plugin_path()
    built = path.stat().st_mtime_ns
    assert plugin.build_plugin().stat().st_mtime_ns == built
    monkeypatch.setattr(plugin, "_FLAGS", (*plugin._FLAGS, "-g"))
    assert plugin.plugin_path() != path


def compiler(folder, text):
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_build_errors_teach(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDYATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(PluginError, match=r"no-such-compiler.*apt-get install g\+\+"):
        plugin.build_plugin()
    monkeypatch.setenv("CXX", compiler(tmp_path, "echo too old >&2; exit 3"))
    with pytest.raises(PluginError, match="status 3:\ntoo old"):
        plugin.build_plugin()
    monkeypatch.setattr(cpp_sources, "PACKAGE", tmp_path / "tf_medyate")
    monkeypatch.setattr(plugin, "PACKAGE", tmp_path / "tf_medyate")
    with pytest.raises(PluginError, match="op sources"):
        plugin.plugin_path()


def test_a_missing_or_other_wheel_and_a_broken_library_are_named(tmp_path, monkeypatch):
    runtime = interpreter._runtime.__wrapped__
    monkeypatch.setattr(interpreter, "WHEEL_VERSION", "0.dev1")
    with pytest.raises(PluginError, match=r"pip install tflite-micro==0\.dev1"):
        runtime()
    monkeypatch.undo()
    broken = tmp_path / "broken.so"
    broken.write_text("not a library")
    monkeypatch.setattr(interpreter, "build_plugin", lambda: broken)
    monkeypatch.setattr(interpreter, "_plugin", interpreter._plugin.__wrapped__)
    with pytest.raises(PluginError, match="Delete this file"):
        runtime()
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    with pytest.raises(PluginError, match="pip install"):
        runtime()


def loss_model():
    g = Graph()
    inputs = [g.input([1, 3]), g.input([1], np.int32), g.input([1], np.int32)]
    outputs = [g.tensor([1]), g.tensor([1, 3])]
    options = op_schema.SOFTMAX_CROSS_ENTROPY.options.pack()
    g.op(op_schema.SOFTMAX_CROSS_ENTROPY, options, inputs, outputs)
    return g.bytes(outputs)


def test_arena_is_reported_and_a_small_one_refused():
    loaded = Interpreter(loss_model(), arena_bytes=20_000)
    arena = loaded.arena
    assert 0 < arena.head_bytes <= arena.head_bytes + arena.tail_bytes == arena.total_bytes
    assert str(arena).startswith(f"arena {arena.total_bytes} bytes: head ")
    with pytest.raises(InterpreterError, match=r"arena_bytes: expected at least [\d,]+ bytes"):
        Interpreter(loss_model(), arena_bytes=arena.total_bytes - 200)


def test_two_threads_keep_standard_output_and_error(capfd):
    def work(_):
        for _ in range(10):
            loaded = Interpreter(loss_model())
            with pytest.raises(InterpreterError, match="Dimension mismatch"):
                loaded.run(np.zeros((1, 4), np.float32))
            assert loaded.arena.total_bytes
            time.sleep(0)  # let another have a turn

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    print("still here")
    os.write(2, b"here, too")
    assert capfd.readouterr() == ("still here\n", "here, too")


def test_wrong_inputs_are_named_and_stderr_comes_back(capfd):
    loaded = Interpreter(loss_model())
    with pytest.raises(InterpreterError, match="Dimension mismatch"):
        loaded.run(np.zeros((1, 4), np.float32))
    with pytest.raises(InterpreterError, match="expected type FLOAT32"):
        loaded.run(np.zeros((1, 3), np.int32))
    loaded.reset()
    os.write(2, b"still here")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "still here")
