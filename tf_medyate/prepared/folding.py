"""From an ordinary Keras model to a folded one with channel masks, and back.

Batch normalization is folded into the layer before it, as it is on a device; where there is none
it becomes a 1x1 depthwise convolution. Separable convolutions, attention and recurrent layers
become their parts; `strip` joins those of the last again. Weight regularizers and constraints are
dropped: they would act on the kernels of layers that are frozen.
Every other layer is kept as it is; if it has weights, they are frozen.

Example:
    >>> model = prepare(base)      # same outputs as base at inference, within rounding
    >>> tuned = strip(model)       # an ordinary Keras model again
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.errors import FoldingError, NotPreparedError, UnsupportedLayerError
from tf_medyate.prepared.convert import PENALTIES, masked_layers_of, standalone_norm
from tf_medyate.prepared.copies import Copies
from tf_medyate.prepared.graph import ModelGraph, Node, trace
from tf_medyate.prepared.legacy import from_tf_keras
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.prepared.operators import layers_of
from tf_medyate.prepared.parts import divide, is_divisible, is_projection, join
from tf_medyate.prepared.rebuild import rebuild
from tf_medyate.prepared.recurrent import MaskedRecurrence
from tf_medyate.prepared.scope_names import check_scope_names
from tf_medyate.prepared.step_masks import is_masked
from tf_medyate.prepared.supported import (
    TWINS,
    check_methods,
    check_policy,
    check_supported,
    is_affine,
    is_maskable,
    known_activation,
)
from tf_medyate.prepared.transposed import as_stored
from tf_medyate.prepared.weighted import specs_of
from tf_medyate.spec import LayerSpec

_K = keras.layers

_PLAIN = {twin: plain for plain, twin in TWINS.items()}

# Of the largest output. Folding a hundred layers moves outputs by some 1e-5; what an unknown option
# of a layer does is of their order.
_PROMISED = 1e-3


def prepare(base: keras.Model) -> PreparedModel:
    """Builds a model with the same outputs whose layers carry channel masks.

    Args:
        base: A built Sequential or functional model, nested models included. It is not changed.
            A model of `tf_keras` is converted.

    Returns:
        The folded model, uncompiled. Its inference outputs equal `base`'s within float32
        rounding, which a random batch has shown. Without a `MeDyate` callback, `fit` trains all
        of it, but for the layers that cannot be masked: `frozen_layers` names them. A warning
        names the layers whose regularizers or constraints are left out.

    Raises:
        UnbuiltModelError: The input shape is unknown or not fixed.
        UnsupportedLayerError: There is no layer to train, one has an option that would be lost,
            cannot be copied, or changes its weights by itself, or a subclass has steps of its own.
        FoldingError: The outputs differ: something in `base` was not understood.
        NotPreparedError: `base` is prepared already.
    """
    base = from_tf_keras(base)
    check_scope_names(base)
    model, left_out = _fold_model(base)
    if left_out:
        warnings.warn(
            f"tf_medyate.prepare leaves out regularizers and constraints of {', '.join(left_out)}: "
            "they would act on frozen weights.",
            stacklevel=2,
        )
    batch = _probes(base)
    _check_outputs(base, model, batch)
    _check_frozen(model, batch)
    return model


def _fold_model(base: keras.Model) -> tuple[PreparedModel, list[str]]:
    """The folded model, and the names of the layers that lost regularizers or constraints."""
    _check_plain(base)
    check_policy()
    graph = trace(base)
    check_methods(base)
    masked = {node.name for node in graph.nodes if is_maskable(graph, node)}
    affine = {n.name: n for n in graph.nodes if is_affine(graph, n)}
    divided = {node.name for node in graph.nodes if is_divisible(graph, node)}
    for node in graph.nodes:
        if node.name in masked | divided or type(node.layer) is _K.BatchNormalization:
            check_supported(node)
    affine = {name: _affine(node) for name, node in affine.items()}
    folds = {
        name: fold for name in affine if (fold := _fold_target(graph, name, masked)) is not None
    }
    weights: list[tuple[Any, np.ndarray, np.ndarray | None]] = []
    copies = Copies()

    def convert(node: Node) -> list:
        if node.name in folds:
            return []
        if node.name in affine:
            return standalone_norm(node, affine[node.name], weights)
        if node.name in divided:
            return divide(node, weights)
        if node.name not in masked:
            alike = layers_of(node)
            return alike if alike and not is_masked(graph, node) else [copies.of(node)]
        norm = next((n for n, target in folds.items() if target == node.name), None)
        return masked_layers_of(node, affine[norm] if norm else None, weights)

    model: Any = rebuild(base, graph, convert, PreparedModel)
    copies.give_weights()
    for layer, kernel, bias in weights:
        layer.kernel.assign(kernel)
        if bias is not None:
            layer.bias.assign(bias)
    if not weights and model.frozen_layers:
        raise UnsupportedLayerError(
            f"model '{base.name}'",
            "at least one layer that channels can be drawn from: "
            + ", ".join(plain.__name__ for plain in TWINS),
            f"none among {len(graph.nodes)} layers",
            "Put a Dense layer at its end, and train that.",
        )
    drawn = [n for n in graph.nodes if n.name in masked | divided]
    penalised = [n.name for n in drawn if _is_penalised(n.layer)]
    return model, penalised


def _check_plain(model: Any, path: str = "base"):
    if isinstance(model, PreparedModel):
        raise NotPreparedError(
            path, "an ordinary Keras model", "a prepared one", "Use it as it is, or strip it."
        )
    for layer in model.layers if isinstance(model, keras.Model) else ():
        _check_plain(layer, f"{path}.{layer.name}")


def _is_penalised(layer) -> bool:
    config = layer.get_config()
    return any(config.get(option) is not None for option in PENALTIES)


def _probes(base: keras.Model) -> Any:
    """A small random batch."""
    rng = np.random.default_rng(0)
    structure: Any = base.inputs[0] if isinstance(base, keras.Sequential) else base.input
    return keras.tree.map_structure(lambda x: _probe(x, rng), structure)


def _check_frozen(model: PreparedModel, batch: Any):
    """Raises UnsupportedLayerError if a frozen layer changes its weights in training."""
    layers = [model.get_layer(name) for name in model.frozen_layers]
    before = [layer.get_weights() for layer in layers]
    if layers:
        model(batch, training=True)
    for layer, values in zip(layers, before, strict=True):
        after = layer.get_weights()
        layer.set_weights(values)
        if not all(
            np.array_equal(a, b, equal_nan=True) for a, b in zip(values, after, strict=True)
        ):
            raise UnsupportedLayerError(
                f"layer '{layer.name}' ({type(layer).__name__})",
                "weights that stay as they are while others are trained",
                "weights of its own that it changes in every call with training=True",
                "Replace it by one that does not, or prepare the part of the model after it.",
            )


def _check_outputs(base: keras.Model, model: keras.Model, batch: Any):
    """Raises FoldingError unless both answer alike to a small random batch."""
    pairs = [keras.tree.flatten(either(batch, training=False)) for either in (base, model)]
    for name, expected, found in zip(model.output_names, *pairs, strict=True):
        expected, found = np.asarray(expected), np.asarray(found)
        largest = np.abs(expected).max(initial=0.0, where=np.isfinite(expected))
        if not np.allclose(found, expected, rtol=0, atol=_PROMISED * largest, equal_nan=True):
            raise FoldingError(
                "base",
                "a model that keeps its outputs when its layers are folded",
                f"outputs '{name}' that are up to {np.abs(found - expected).max():.3g} apart, "
                f"the largest being {largest:.3g}",
                "A layer computes something that its configuration does not say, or weights have "
                "overflowed: rebuild it from Keras's own layers.",
            )


def _probe(tensor: Any, rng: np.random.Generator) -> Any:
    """Values for an input: small integers are indices of any embedding."""
    shape, dtype = (tensor.shape[0] or 2, *tensor.shape[1:]), str(tensor.dtype)
    if dtype == "string":
        return tf.fill(shape, "a b")
    if dtype.startswith("float"):
        return rng.uniform(-2, 2, shape).astype(dtype)
    return rng.integers(0, 2, shape).astype(dtype)


def strip(model: keras.Model) -> keras.Model:
    """Builds an ordinary Keras model with the outputs of a prepared one.

    Args:
        model: A model from `prepare`; whatever is in its pool is committed first.

    Returns:
        An uncompiled model of standard Keras layers. Layer names stay, folding stays.

    Raises:
        NotPreparedError: `model` did not come from `prepare`.
    """
    require_prepared(model).commit()
    graph = trace(model)
    pairs, joined, copies = [], [], Copies()

    def convert(node: Node) -> list:
        if isinstance(node.layer, MaskedRecurrence):
            joined.append(join(graph, node))
            return [joined[-1][0]]
        if is_projection(graph, node):
            return []
        plain = _PLAIN.get(type(node.layer))
        if plain is None:
            return [copies.of(node)]
        # The activation itself: a description loses functions of the user's own.
        config = node.layer.get_config() | {"activation": node.layer.activation}
        twin = plain.from_config(config)
        pairs.append((twin, node.layer))
        return [twin]

    stripped = rebuild(model, graph, convert)
    copies.give_weights()
    for plain, masked in pairs:
        plain.kernel.assign(as_stored(masked, masked.kernel.numpy()))
        if masked.bias is not None:
            plain.bias.assign(masked.bias)
    for layer, values in joined:
        layer.set_weights(values())
    return stripped


def layer_specs(model: keras.Model) -> tuple[LayerSpec, ...]:
    """Describes a model's weighted layers, in execution order, as the device would see them.

    Args:
        model: A prepared model, or any model that `prepare` accepts.

    Raises:
        UnbuiltModelError, UnsupportedLayerError: As `prepare`.
    """
    prepared = model if isinstance(model, PreparedModel) else _fold_model(model)[0]
    return specs_of(trace(prepared), lambda layer: getattr(layer, "kind", None))


def require_prepared(model: keras.Model) -> PreparedModel:
    """Returns the model if it came from `prepare`.

    Raises:
        NotPreparedError: It did not.
    """
    if not isinstance(model, PreparedModel):
        raise NotPreparedError(
            "model",
            "a model from tf_medyate.prepare",
            f"{type(model).__name__} '{getattr(model, 'name', '')}'",
            "Call model = tf_medyate.prepare(model) before compiling it.",
        )
    return model


# --- folding


def _affine(node: Node) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift (float64, [channels]) of a batch normalization at inference."""
    layer = node.layer
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
    if layer.scale:
        scale = scale * layer.gamma.numpy()
    shift = -mean * scale
    if layer.center:
        shift = shift + layer.beta.numpy()
    return scale, shift


def _fold_target(graph: ModelGraph, norm: str, masked: set[str]) -> str | None:
    """The weighted layer that a normalization can be folded into, None if there is none."""
    source = graph.producer(graph.producer(norm).inputs[0])
    if (
        source.name not in masked
        or source.name in graph.outputs
        or len(graph.consumers(source.name)) != 1
    ):
        return None
    return source.name if _is_linear(source.layer.activation) else None


def _is_linear(activation) -> bool:
    return activation is None or known_activation(activation) is keras.activations.linear
