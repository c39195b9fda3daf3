"""The rules that every training graph keeps; `graph.Graph` checks them when it is built.

1. Names are unique; every name that is used is declared, every declared one is used.
2. A tensor is produced by one op, before any op reads it. Constants, inputs and variables are
   produced by none. Scratch belongs to one op and nobody reads it.
3. Only variables are mutated, by ops that take them as inputs.
4. Inputs and outputs of the graph are exactly the tensors of these kinds; a variable may be shown
   as an output too.
"""

from __future__ import annotations

from collections.abc import Sequence

from tf_medyate.exporter.ir import values
from tf_medyate.exporter.ir.nodes import OpNode, Tensor


def check_graph(
    name: str,
    tensors: Sequence[Tensor],
    ops: Sequence[OpNode],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> None:
    """Checks the parts of a `Graph`.

    Raises:
        GraphError: A rule above is broken; the error names the op and the tensor.
    """
    if not ops:
        _refuse(f"graph '{name}'", "at least one op", "none", "Lower a model with layers.")
    _check_names(name, tensors, inputs, outputs)
    kinds = {tensor.name: tensor.kind for tensor in tensors}
    held = (values.INPUT, values.CONSTANT, values.VARIABLE)
    ready = {name for name, kind in kinds.items() if kind in held}
    made: set[str] = set()
    for index, op in enumerate(ops):
        _check_op(f"op {index} {op.kind}", op, kinds, ready, made)
        made.update((*op.outputs, *op.scratch))
        ready.update(op.outputs)
    for tensor, kind in kinds.items():
        if kind not in held and tensor not in made:
            _refuse(f"{kind} '{tensor}'", "an op that produces it", "none", "Remove the tensor.")


def _check_names(
    graph: str, tensors: Sequence[Tensor], inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    names = [tensor.name for tensor in tensors]
    repeated = sorted({name for name in names if names.count(name) > 1}) if _clash(names) else []
    if repeated:
        _refuse("tensors", "unique names", f"'{repeated[0]}' twice", "Rename one of them.")
    for kind, listed in ((values.INPUT, inputs), (values.OUTPUT, outputs)):
        of_kind = sorted(tensor.name for tensor in tensors if tensor.kind == kind)
        shown = {t.name for t in tensors if kind == values.OUTPUT and t.kind == values.VARIABLE}
        if sorted(name for name in listed if name not in shown) != of_kind:
            _refuse(
                f"{kind}s of graph '{graph}'",
                f"the tensors of kind {kind}, each once: {of_kind}",
                str(list(listed)),
                "Give these tensors this kind, and no others.",
            )


def _clash(names: list[str]) -> bool:
    return len(set(names)) < len(names)


def _check_op(
    where: str, op: OpNode, kinds: dict[str, str], ready: set[str], made: set[str]
) -> None:
    for name in (*op.reads, *op.outputs, *op.scratch):
        if name not in kinds:
            _refuse(where, "declared tensors", repr(name), "Add it to the graph's tensors.")
    for name in op.reads:
        if name not in ready:
            _refuse(
                where,
                f"input '{name}' to be produced before",
                f"a {kinds[name]} that no earlier op produces",
                "Put its producer first; scratch is read by nobody.",
            )
    for name in op.mutates:
        if name not in op.inputs or kinds.get(name) != values.VARIABLE:
            _refuse(
                where,
                "to mutate only variables among its inputs",
                f"'{name}', {kinds.get(name, 'unknown')}",
                "Make it a variable and an input, or produce a new tensor.",
            )
    _check_products(where, op, kinds, made)


def _check_products(where: str, op: OpNode, kinds: dict[str, str], made: set[str]) -> None:
    for name in op.outputs:
        if kinds[name] not in (values.ACTIVATION, values.OUTPUT):
            _refuse(
                where,
                "activations or outputs as outputs",
                f"'{name}', {kinds[name]}",
                "List a variable under `inputs` and `mutates`, scratch under `scratch`.",
            )
    for name in op.scratch:
        if kinds[name] != values.SCRATCH:
            _refuse(where, "scratch tensors as scratch", f"'{name}', {kinds[name]}", "Change it.")
    products = [*op.outputs, *op.scratch]
    again = [n for i, n in enumerate(products) if n in made or n in products[:i]]
    if again:
        _refuse(where, "tensors with one producer", f"'{again[0]}' again", "Rename this one.")


def _refuse(argument: str, expected: str, received: str, remedy: str):
    raise values.GraphError(argument, expected, received, remedy)
