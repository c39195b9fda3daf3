"""The official TFLM interpreter with our ops, with errors that say what TFLM printed.

Example:
    >>> interpreter = Interpreter(open("out/train.tflite", "rb").read(), arena_bytes=200_000)
    >>> outputs = interpreter.run(*inputs)
    >>> print(interpreter.arena)
    arena ... bytes: head ..., tail ... (64-bit host)
"""

import contextlib
import ctypes
import dataclasses
import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tf_medyate.errors import MedyateError
from tf_medyate.exporter.memory.arena import HOST, Counts
from tf_medyate.exporter.memory.placing import ALIGNMENT_BYTES
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.private_apis import tflite_schema
from tf_medyate.quiet import captured_stderr
from tf_medyate.simulate.plugin import PluginError, build_plugin

# schema.TensorType -> NumPy's type
_NUMPY_TYPES = {
    number: np.dtype(name)
    for number, name in {0: "<f4", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 9: "i1"}.items()
}

WHEEL_VERSION = "0.dev20260203175027"
"""The tflite-micro wheel whose C structs our ops are declared for."""


class InterpreterError(MedyateError, RuntimeError):
    """TFLM refused a graph, an arena or a run; `received` is what it printed."""


@dataclasses.dataclass(frozen=True)
class ArenaUse:
    """What TFLM took of its arena, in bytes, on this 64-bit host.

    A board's structs are smaller: there the tail is smaller, the head is the same.

    Attributes:
        total_bytes: Head and tail.
        head_bytes: Planned tensors and scratch buffers, which share memory over time.
        tail_bytes: What lives as long as the interpreter: variables and TFLM's own structs.
    """

    total_bytes: int
    head_bytes: int
    tail_bytes: int

    def __str__(self) -> str:
        parts = f"head {self.head_bytes}, tail {self.tail_bytes}"
        return f"arena {self.total_bytes} bytes: {parts} (64-bit host)"


class Interpreter:
    """One TFLM interpreter on a private copy of a model.

    Args:
        model: The bytes of a `.tflite`.
        arena_bytes: Size of the arena; multiples of 16 bytes count.

    Raises:
        InterpreterError: TFLM refuses the model, or the arena is too small.
        PluginError: The ops cannot be built, or the tflite-micro wheel is missing or another.
    """

    def __init__(self, model: bytes, arena_bytes: int = 1 << 20):
        runtime = _runtime()
        # TFLM reads constants from these very bytes as long as it lives.
        self._model = bytes(bytearray(model))
        # TFLM crashes where its planner has no room; a lack of room for tensors it reports.
        require_arena(arena_bytes, least_arena(self._model))
        names = [op_schema.REGISTER_FUNCTION]
        remedy = "Give a larger arena if memory ran out, or else export the model again."
        with _teaching("model", "a graph that TFLM accepts", remedy):
            usable = _usable(arena_bytes)
            needed = _custom_ops(self._model)  # read where the ops are registered
            _plugin().MedyateNeed(needed)
            self._interpreter = runtime.Interpreter.from_bytes(self._model, names, usable)

    def run(self, *inputs: np.ndarray, outputs: int | None = None) -> list[np.ndarray]:
        """One Invoke: sets every input, runs every op, copies the outputs.

        Args:
            *inputs: One array an input of the graph, of its shape and dtype.
            outputs: How many of the outputs are copied; None for all.

        Returns:
            The first `outputs` outputs, in the graph's order.

        Raises:
            InterpreterError: An input does not fit, or an op reported an error.
        """
        remedy = "Correct the value that is named; variables that no op reached are unchanged."
        with _teaching("inputs", "values that every op accepts", remedy):
            for index, value in enumerate(inputs):
                self._interpreter.set_input(np.asarray(value), index)
            self._interpreter.invoke()
        count = self._output_count if outputs is None else outputs
        return [self.output(index) for index in range(count)]

    def output(self, index: int) -> np.ndarray:
        """A copy of an output as the last run left it; of a variable, as it is now."""
        return self._interpreter.get_output(index)

    def constants(self) -> dict[str, np.ndarray]:
        """The constant tensors by name: the very memory that TFLM reads, and writable.

        Our float ops keep nothing of a constant, so a host may patch weights between two
        runs, as a device patches its flash.
        """
        schema = tflite_schema()
        model: Any = schema.Model.GetRootAs(self._model, 0)
        # A view that can be written of bytes that are this interpreter's alone.
        start: Any = ctypes.cast(ctypes.c_char_p(self._model), ctypes.c_void_p).value
        memory = np.ctypeslib.as_array((ctypes.c_uint8 * len(self._model)).from_address(start))
        subgraph, found = model.Subgraphs(0), {}
        for index in range(subgraph.TensorsLength()):
            tensor = subgraph.Tensors(index)
            data = model.Buffers(tensor.Buffer()).DataAsNumpy()
            if isinstance(data, np.ndarray):
                offset = data.__array_interface__["data"][0] - start
                values = memory[offset : offset + data.size].view(_NUMPY_TYPES[tensor.Type()])
                shape = tensor.ShapeAsNumpy()
                found[tensor.Name().decode()] = values.reshape(shape)
        return found

    def run_restored(self, variables: Sequence[np.ndarray | None], *inputs: np.ndarray) -> None:
        """One Invoke of a training graph that begins with saved variables.

        Args:
            variables: Pool, selection and importance as `output` gave them; None for none.
            *inputs: As `run`.
        """
        kept = [None if v is None else np.ascontiguousarray(v) for v in variables]
        pointers = [None if v is None else v.ctypes.data_as(ctypes.c_void_p) for v in kept]
        _plugin().MedyateRestore(*pointers)
        self.run(*inputs, outputs=0)

    def reset(self) -> None:
        """Sets all variables back to zero."""
        self._interpreter.reset()

    @property
    def arena(self) -> ArenaUse:
        """What TFLM reports to have allocated."""
        with captured_stderr() as printed:
            self._interpreter.print_allocations()
        found = re.findall(r"Arena allocation (total|head|tail) (\d+)", printed.getvalue())
        sizes = {part: int(size) for part, size in found}
        return ArenaUse(sizes["total"], sizes["head"], sizes["tail"])

    @functools.cached_property
    def _output_count(self) -> int:
        schema = tflite_schema()
        subgraph = schema.Model.GetRootAs(self._model, 0).Subgraphs(0)
        return 0 if subgraph is None else subgraph.OutputsLength()


def _custom_ops(model: bytes) -> bytes:
    """Names of a model's custom ops, each with a newline after it."""
    schema = tflite_schema()
    read: Any = schema.Model.GetRootAs(model, 0)
    codes = (read.OperatorCodes(index).CustomCode() for index in range(read.OperatorCodesLength()))
    return b"".join(code + b"\n" for code in codes if code)


def least_arena(model: bytes) -> int:
    """Bytes of the arena below which TFLM's planner cannot work on a model."""
    return HOST.planning_bytes(Counts.of_tflite(model))


def require_arena(arena_bytes: int, needed: int) -> None:
    """Raises InterpreterError if an arena is smaller than what is needed."""
    if not _usable(arena_bytes) >= needed:
        raise InterpreterError(
            "arena_bytes",
            f"at least {needed:,} bytes",
            f"{arena_bytes:,} bytes",
            "Give a larger arena, or export with a smaller budget.",
        )


def _usable(arena_bytes: int) -> int:
    """What TFLM can use of an arena: it begins its tail at a multiple of 16 bytes."""
    return arena_bytes // ALIGNMENT_BYTES * ALIGNMENT_BYTES


@functools.cache
def _plugin() -> ctypes.CDLL:
    return ctypes.CDLL(str(build_plugin()), mode=ctypes.RTLD_GLOBAL)


@functools.cache
def _runtime():
    """The wheel's runtime module, after our ops have been loaded where it looks for them."""
    remedy = f"pip install tflite-micro=={WHEEL_VERSION}"
    try:
        version = importlib.metadata.version("tflite-micro")
        from tflite_micro.python.tflite_micro import runtime
    except ImportError as error:  # PackageNotFoundError is one, too
        raise PluginError("tflite-micro", WHEEL_VERSION, f"{error}", remedy) from error
    if version != WHEEL_VERSION:
        raise PluginError("tflite-micro", WHEEL_VERSION, version, remedy)
    try:
        _plugin()
    except OSError as error:
        remedy = "Delete this file; it is built again."
        raise PluginError("op library", "a library that loads", f"{error}", remedy) from error
    # It tells of resource variables on standard output; redirecting that is no thread's own affair.
    setattr(runtime, "print", lambda *_: None)  # noqa: B010
    return runtime


@contextlib.contextmanager
def _teaching(argument: str, expected: str, remedy: str) -> Iterator[None]:
    """Turns an error of the wheel into one of ours, with what TFLM printed meanwhile."""
    with captured_stderr() as printed:
        try:
            yield
            failure = None
        except (RuntimeError, ValueError) as error:
            failure = error
    if failure is None:
        sys.stderr.write(printed.getvalue())  # another thread's: TFLM has nothing to say
        return
    received = "; ".join([str(failure), *filter(None, printed.getvalue().splitlines())])
    raise InterpreterError(argument, expected, received, remedy) from failure
