"""From an ordinary Keras model to a folded one with channel masks, and back.

Batch normalization is folded into the layer before it, as it is on a device; where there is none
it becomes a 1x1 depthwise convolution. Separable convolutions become their two halves. Weight
regularizers and constraints are dropped: they would act on the kernels of layers that are frozen.

Example:
    >>> model = prepare(base)      # same outputs as base at inference, within rounding
    >>> tuned = strip(model)       # an ordinary Keras model again
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from tf_medyate.errors import FoldingError, NotPreparedError
from tf_medyate.prepared.graph import ModelGraph, Node, rebuild, trace
from tf_medyate.prepared.layers import MaskedConv2D, MaskedDepthwiseConv2D
from tf_medyate.prepared.legacy import from_tf_keras
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.prepared.scope_names import check_scope_names
from tf_medyate.prepared.supported import (
    TWINS,
    check_methods,
    check_policy,
    check_supported,
    known_activation,
    refuse,
)
from tf_medyate.prepared.weighted import specs_of
from tf_medyate.spec import LayerSpec

_K = keras.layers

_PLAIN = {twin: plain for plain, twin in TWINS.items()}

_PENALTIES = (
    "kernel_regularizer", "bias_regularizer", "depthwise_regularizer", "pointwise_regularizer",
    "kernel_constraint", "bias_constraint", "depthwise_constraint", "pointwise_constraint",
    "gamma_regularizer", "beta_regularizer", "gamma_constraint", "beta_constraint",
)  # fmt: skip

_DROPPED = (
    *_PENALTIES, "activity_regularizer", "quantization_config", "lora_rank", "lora_alpha", "groups"
)  # fmt: skip

# Of the largest output. Folding a hundred layers moves outputs by some 1e-5; what an unknown option
# of a layer does is of their order.
_PROMISED = 1e-3


def prepare(base: keras.Model) -> PreparedModel:
    """Builds a model with the same outputs whose layers carry channel masks.

    Args:
        base: A built Sequential or functional model of supported layers, nested models included,
            in float32 and channels-last. It is not changed. A model of `tf_keras` is converted.

    Returns:
        The folded model, uncompiled. Its inference outputs equal `base`'s within float32
        rounding, which a random batch has shown. Without a `MeDyate` callback, `fit` trains all
        of it. A warning names the layers whose regularizers or constraints are left out.

    Raises:
        UnbuiltModelError: The input shape is unknown or not fixed.
        UnsupportedLayerError: A layer or one of its options is not supported, or a subclass has
            steps of its own.
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
    _check_outputs(base, model)
    return model


def _fold_model(base: keras.Model) -> tuple[PreparedModel, list[str]]:
    """The folded model, and the names of the layers that lost regularizers or constraints."""
    _check_plain(base)
    check_policy()
    graph = trace(base)
    check_methods(base)
    for node in graph.nodes:
        check_supported(node)
    affine = {n.name: _affine(n) for n in graph.nodes if type(n.layer) is _K.BatchNormalization}
    folds = {name: fold for name in affine if (fold := _fold_target(graph, name)) is not None}
    weights: list[tuple[Any, np.ndarray, np.ndarray | None]] = []

    def convert(node: Node) -> list:
        if node.name in folds:
            return []
        if node.name in affine:
            return _standalone_norm(node, affine[node.name], weights)
        norm = next((n for n, target in folds.items() if target == node.name), None)
        return _convert(node, affine[norm] if norm else None, weights)

    model = rebuild(base, graph, convert, PreparedModel)
    for layer, kernel, bias in weights:
        layer.kernel.assign(kernel)
        if bias is not None:
            layer.bias.assign(bias)
    return model, [node.name for node in graph.nodes if _is_penalised(node.layer)]


def _check_plain(model: Any, path: str = "base"):
    if isinstance(model, PreparedModel):
        raise NotPreparedError(
            path, "an ordinary Keras model", "a prepared one", "Use it as it is, or strip it."
        )
    for layer in model.layers if isinstance(model, keras.Model) else ():
        _check_plain(layer, f"{path}.{layer.name}")


def _is_penalised(layer) -> bool:
    return any(getattr(layer, option, None) is not None for option in _PENALTIES)


def _check_outputs(base: keras.Model, model: keras.Model):
    """Raises FoldingError unless both answer alike to a small random batch."""
    rng = np.random.default_rng(0)
    structure: Any = base.inputs[0] if isinstance(base, keras.Sequential) else base.input
    batch = keras.tree.map_structure(
        lambda x: rng.uniform(-2, 2, (x.shape[0] or 2, *x.shape[1:])).astype(x.dtype), structure
    )
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
    pairs = []

    def convert(node: Node) -> list:
        plain = _PLAIN.get(type(node.layer))
        if plain is None:
            return [type(node.layer).from_config(node.layer.get_config())]
        twin = plain.from_config(node.layer.get_config())
        pairs.append((twin, node.layer))
        return [twin]

    stripped = rebuild(model, graph, convert)
    for plain, masked in pairs:
        plain.kernel.assign(masked.kernel)
        if masked.bias is not None:
            plain.bias.assign(masked.bias)
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
    if layer.axis not in (-1, layer.input_spec.ndim - 1):
        refuse(node, "axis=-1", f"axis={layer.axis}", "Normalize the channels: the last axis.")
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + layer.epsilon)
    if layer.scale:
        scale = scale * layer.gamma.numpy()
    shift = -mean * scale
    if layer.center:
        shift = shift + layer.beta.numpy()
    return scale, shift


def _fold_target(graph: ModelGraph, norm: str) -> str | None:
    """The weighted layer that a normalization can be folded into, None if there is none."""
    nodes = {node.name: node for node in graph.nodes}
    source = nodes[nodes[norm].inputs[0]]
    foldable = type(source.layer) in (*TWINS, _K.SeparableConv2D)
    if not foldable or source.name in graph.outputs or len(graph.consumers(source.name)) != 1:
        return None
    return source.name if _is_linear(source.layer.activation) else None


def _is_linear(activation) -> bool:
    return activation is None or known_activation(activation) is keras.activations.linear


def _standalone_norm(node: Node, affine, weights: list) -> list:
    scale, shift = affine
    if len(node.layer.moving_mean.shape) != 1 or node.layer.input_spec.ndim != 4:
        refuse(
            node,
            "to follow a linear convolution or dense layer directly, or a rank-4 input",
            f"a rank-{node.layer.input_spec.ndim} input from another layer",
            "Move it after a convolution with a linear activation, or remove it.",
        )
    layer = MaskedDepthwiseConv2D(1, name=node.name, trainable=node.layer.trainable)
    weights.append((layer, scale.reshape(1, 1, -1, 1), shift))
    return [layer]


def _convert(node: Node, affine, weights: list) -> list:
    """The layers that replace a node; appends the weights that they are to be given."""
    layer, kind = node.layer, type(node.layer)
    if kind is _K.SeparableConv2D:
        return _split_separable(node, affine, weights)
    config = layer.get_config() | {"name": node.name}
    if getattr(layer, "activation", None) is not None:
        config["activation"] = known_activation(layer.activation)
    if kind not in TWINS:
        return [kind.from_config(config)]
    config = {k: v for k, v in config.items() if k not in _DROPPED}
    config |= {"use_bias": layer.use_bias or affine is not None}
    masked = TWINS[kind].from_config(config)
    bias = layer.bias.numpy() if layer.use_bias else None
    weights.append((masked, *_fold(layer.kernel.numpy(), bias, affine, kind)))
    return [masked]


def _fold(kernel: np.ndarray, bias: np.ndarray | None, affine, kind: type):
    """Kernel and bias with a following affine map folded in, computed in float64."""
    if affine is None:
        return kernel, bias
    scale, shift = affine
    by_output = scale.reshape(kernel.shape[-2:]) if kind is _K.DepthwiseConv2D else scale
    folded_bias = shift if bias is None else bias * scale + shift
    return (kernel * by_output).astype(np.float32), folded_bias.astype(np.float32)


def _split_separable(node: Node, affine, weights: list) -> list:
    layer = node.layer
    depthwise = MaskedDepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        depth_multiplier=layer.depth_multiplier,
        use_bias=False,
        trainable=layer.trainable,
        name=f"{node.name}.depthwise",
    )
    pointwise = MaskedConv2D(
        layer.filters,
        1,
        use_bias=layer.use_bias or affine is not None,
        activation=known_activation(layer.activation),
        trainable=layer.trainable,
        name=f"{node.name}.pointwise",
    )
    weights.append((depthwise, layer.depthwise_kernel.numpy(), None))
    bias = layer.bias.numpy() if layer.use_bias else None
    kernel = layer.pointwise_kernel.numpy()
    weights.append((pointwise, *_fold(kernel, bias, affine, _K.Conv2D)))
    return [depthwise, pointwise]
