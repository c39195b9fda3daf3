"""The training graph: what it accepts, what it refuses, what it knows about itself."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from tf_medyate import errors
from tf_medyate.exporter import FrozenMap, Graph, GraphError, OpNode, Quantization, Tensor


def small(**changes) -> Graph:
    """x -> a (with scratch s and variable v written) -> y"""
    parts = {
        "x": Tensor("x", (1, 4), kind="input"),
        "w": Tensor("w", (4,), kind="constant", data=np.ones(4, np.float32)),
        "v": Tensor("v", (2,), "int32", kind="variable"),
        "a": Tensor("a", (1, 4)),
        "s": Tensor("s", (8,), "uint8", kind="scratch"),
        "y": Tensor("y", (1, 2), kind="output"),
    }
    ops = changes.pop("ops", None) or (
        OpNode("MEDYATE_A", ("x", "w", "v"), ("a",), ("s",), {"n": 3}, mutates=("v",)),
        OpNode("MEDYATE_B", ("a", "", "x"), ("y",)),
    )
    tensors = changes.pop("tensors", None) or tuple({**parts, **changes}.values())
    return Graph("small", tensors, ops)


def test_a_graph_knows_producers_consumers_and_lifetimes():
    graph = small()
    assert graph.inputs == ("x",)
    assert graph.outputs == ("y",)
    assert dict(graph.producers) == {"a": 0, "s": 0, "y": 1}
    assert graph.consumers["x"] == (0, 1)
    assert graph.consumers["y"] == ()
    assert graph.lifetimes() == {"x": (0, 1), "a": (0, 1), "s": (0, 0), "y": (1, 1)}
    assert graph.tensor("x").size_bytes == 16
    with pytest.raises(GraphError, match="nothing"):
        graph.tensor("nothing")


def test_an_early_output_lives_to_the_end():
    tensors = [Tensor("x", (1,), kind="input"), Tensor("early", (1,), kind="output")]
    tensors += [Tensor("m", (1,)), Tensor("y", (1,), kind="output")]
    ops = (
        OpNode("E", ("x",), ("early",)),
        OpNode("M", ("x",), ("m",)),
        OpNode("Y", ("m",), ("y",)),
    )
    assert Graph("g", tuple(tensors), ops).lifetimes()["early"] == (0, 2)


def test_a_graph_prints_itself():
    text = str(small())
    assert "graph small: 2 ops, 6 tensors, constants 16 bytes, variables 8 bytes" in text
    assert "MEDYATE_A(x, w, v!) -> a scratch s  [n=3]" in text
    assert "MEDYATE_B(a, -, x) -> y" in text
    quantized = Tensor("q", (3,), "int8", quantization=Quantization((0.5,), (-3,)))
    assert "scale 0.5 zero -3" in str(quantized)
    assert "2 scales on axis 0" in str(Quantization((1, 2), (0, 0)))
    assert str(FrozenMap({"options": b"abc"})) == "options=<3 bytes>"


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([OpNode("A", ("a",), ("y",)), OpNode("B", ("x",), ("a",))], "produced before"),
        ([OpNode("A", ("x",), ("a",)), OpNode("B", ("x",), ("a", "y"))], "one producer"),
        ([OpNode("A", ("x",), ("a", "a")), OpNode("B", ("x",), ("y",))], "one producer"),
        ([OpNode("A", ("ghost",), ("a",)), OpNode("B", ("a",), ("y",))], "declared"),
        ([OpNode("A", ("x",), ("y",))], "an op that produces it"),
        ([OpNode("A", ("x",), ("a", "v")), OpNode("B", ("a",), ("y",))], "activations or outputs"),
        ([OpNode("A", ("x",), ("a",), ("v",)), OpNode("B", ("a",), ("y",))], "scratch tensors"),
        ([OpNode("A", ("x",), ("a",), ("s",)), OpNode("B", ("a", "s"), ("y",))], "read by nobody"),
        ([OpNode("A", ("x",), ("a",), (), {}, ("x",)), OpNode("B", ("a",), ("y",))], "mutate only"),
        ([OpNode("A", ("x",), ("a",), (), {}, ("v",)), OpNode("B", ("a",), ("y",))], "mutate only"),
    ],
)
def test_a_contradictory_order_is_refused(ops, message):
    with pytest.raises(GraphError, match=message):
        small(ops=tuple(ops))


def test_kinds_must_agree_with_inputs_and_outputs():
    graph = small()
    with pytest.raises(GraphError, match="outputs of graph"):
        Graph("g", graph.tensors, graph.ops, ("x",), ("a", "y"))
    with pytest.raises(GraphError, match="unique names"):
        Graph("g", (*graph.tensors, graph.tensors[0]), graph.ops)
    with pytest.raises(GraphError, match="at least one op"):
        Graph("g", graph.tensors, ())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "name"),
        ({"shape": (1, 0)}, "positive sides"),
        ({"shape": (None, 4)}, "positive sides"),
        ({"dtype": "float64"}, "float32, int8"),
        ({"kind": "weight"}, "constant"),
        ({"kind": "constant"}, "an array"),
        ({"data": np.zeros((1, 4), np.float32)}, "data and kind activation"),
        ({"kind": "constant", "data": np.zeros((1, 4))}, "float64"),
        ({"kind": "constant", "data": np.zeros(4, np.float32)}, "float32\\(4,\\)"),
        ({"quantization": Quantization((1.0,), (0,))}, "Only integers"),
        ({"dtype": "int8", "quantization": Quantization((1.0, 2.0), (0, 0))}, "axis 0"),
        ({"dtype": "int8", "quantization": Quantization((1.0,), (200,))}, "-128 to 127"),
    ],
)
def test_an_impossible_tensor_is_refused(options, message):
    with pytest.raises(GraphError, match=message) as caught:
        Tensor(**{"name": "t", "shape": (1, 4), **options})
    assert caught.value.remedy.endswith(".")


@pytest.mark.parametrize("pair", [((), ()), ((1.0,), (0, 0)), ((0.0,), (0,)), ((np.nan,), (0,))])
def test_an_impossible_quantization_is_refused(pair):
    with pytest.raises(errors.OptionError, match="quantization"):
        Quantization(*pair)


def test_values_cannot_be_changed():
    given = np.ones(3, np.float32)
    constant = Tensor("c", (3,), kind="constant", data=given)
    assert constant.data is not None
    assert np.shares_memory(constant.data, given)  # a reference: nothing is copied
    with pytest.raises(ValueError, match="read-only"):
        constant.data[0] = 2
    given[0] = 5  # the caller's own array stays writable
    attributes = FrozenMap({"b": [1, 2], "a": np.int64(3)})
    assert attributes == {"b": (1, 2), "a": 3}
    assert hash(attributes) == hash(FrozenMap({"a": 3, "b": (1, 2)}))
    assert pickle.loads(pickle.dumps(attributes)) == attributes
    assert eval(repr(attributes)) == attributes
    with pytest.raises(errors.OptionError, match="constant tensors"):
        FrozenMap({"weights": np.zeros(3)})
    with pytest.raises(TypeError):
        small().by_name["x"] = constant  # type: ignore[index]


def test_importing_the_export_does_not_import_tensorflow():
    code = "import sys, tf_medyate.exporter; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
