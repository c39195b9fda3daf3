"""The training graph: one step of fine-tuning, as one graph of our ops.

    control    checks the inputs; draws, drops or counts; loads drawn weights into the pool
    forward    with a stash of the drawn channels of every trained layer's input
    loss
    backward   down to the shallowest layer that is trained
    updates    of weights, biases and importances, each right after its layer's gradient

Inputs are sample (of several inputs one after the other), label, learning_rate and command, outputs
logits and loss. After them the state
is an output too (selection, pool, importance), so that a host can read it; it takes no memory.

Example:
    >>> from tf_medyate.exporter.lower.recipe import recipe_of
    >>> training = lower_training(model, recipe_of(model, medyate))
    >>> print(training.graph)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np

from tf_medyate.exporter.ir.graph import Graph
from tf_medyate.exporter.ir.values import (
    ABSENT,
    INPUT,
    SCRATCH,
    VARIABLE,
    Quantization,
)
from tf_medyate.exporter.lower import geometry
from tf_medyate.exporter.lower.backward import IMPORTANCE, LEARNING_RATE, OPTIMIZER, append_backward
from tf_medyate.exporter.lower.builder import Builder
from tf_medyate.exporter.lower.forward import Forward, lower_forward, stash_positions
from tf_medyate.exporter.lower.inputs import sample_shape
from tf_medyate.exporter.lower.outputs import LABEL, LOGITS, LOSS, append_losses, output_shape
from tf_medyate.exporter.lower.recipe import TrainingRecipe
from tf_medyate.exporter.lower.state import COMMAND, POOL, SELECTION
from tf_medyate.exporter.lower.training_layout import TrainingLayout, lay_out
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.prepared.graph import trace
from tf_medyate.prepared.model import PreparedModel
from tf_medyate.sample_type import FLOATS, SampleType

SAMPLE = "sample"
STATE = (SELECTION, POOL, IMPORTANCE)
"""The variables, in the order of the outputs; importance only where the draw goes by it."""

_Q16 = 65536


@dataclasses.dataclass(frozen=True)
class TrainingGraph:
    """A lowered model.

    Attributes:
        graph: The graph.
        in_place: (output, input) pairs that may share memory, for the planner.
        layout: Where everything that is trained lies.
        recipe: How it is trained.
        weights: Layer -> its weights tensor, [I][KH][KW][O].
        biases: Layer -> its bias tensor.
        ends_in: What the model's own output is of the logits: their "softmax", their "sigmoid" or,
            if this is "", they themselves; so it is with several outputs.
        left_out: Names of the layers that are on in Keras's training and off on the device.
        sample: How the graph takes a sample.
    """

    graph: Graph
    in_place: tuple[tuple[str, str], ...]
    layout: TrainingLayout
    recipe: TrainingRecipe
    weights: dict[str, str]
    biases: dict[str, str]
    ends_in: str
    left_out: tuple[str, ...] = ()
    sample: SampleType = FLOATS

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of a sample, without the batch."""
        return self.graph.tensor(SAMPLE).shape[1:]


def lower_training(
    model: PreparedModel,
    recipe: TrainingRecipe,
    scratch_channels: int = 4,
    stream: bool = True,
    ranges: Mapping[str, Quantization] | None = None,
) -> TrainingGraph:
    """Lowers one training step of a model.

    Args:
        model: A prepared model, committed.
        recipe: What is trained, and how.
        scratch_channels: Channels whose weight gradients are computed at a time: 4, or 1 for
            the smallest arena.
        stream: Compute frozen convolutions row by row inside the depthwise ones after them: the
            same numbers, without the map between.
        ranges: Of `measure_ranges`: layers in front of everything that is trained are computed in
            8 bits, and the sample comes in 8 bits where nothing else reads it. None: in float32.

    Raises:
        UnsupportedLayerError: A layer cannot be exported.
        OptionError: The loss does not fit the model's output.
    """
    keras_graph = trace(model)
    fusions = geometry.find_fusions(keras_graph)
    layout = lay_out(recipe, stash_positions(keras_graph, fusions))
    builder = Builder(reserved=(IMPORTANCE, LOGITS, LOSS, OPTIMIZER))
    inputs = _declare_inputs(builder, model, recipe)
    state = _declare_state(builder, layout, recipe)
    forward = lower_forward(
        keras_graph,
        layout,
        fusions,
        builder,
        SAMPLE,
        stream,
        ranges,
        dict(zip(keras_graph.outputs, (part.folds for part in recipe.loss.each), strict=True)),
    )
    _add_control(builder, layout, recipe, forward, math.prod(output_shape(model)))
    ending = append_losses(builder, recipe.loss, forward, model)
    builder.constant(OPTIMIZER, recipe.optimizer.constants(), reserved=True)
    adam_rates = _append_adam_rate(builder, layout) if recipe.optimizer.is_adam else None
    append_backward(builder, ending.gradients, forward.wanted, scratch_channels, adam_rates)
    graph = builder.graph(f"{model.name}/train", inputs, (ending.logits, LOSS, *state))
    return TrainingGraph(
        graph,
        tuple(builder.in_place),
        layout,
        recipe,
        forward.weights,
        forward.biases,
        ending.ends_in,
        forward.left_out,
        forward.sample,
    )


def _declare_inputs(
    builder: Builder, model: PreparedModel, recipe: TrainingRecipe
) -> tuple[str, ...]:
    outputs = math.prod(output_shape(model))
    builder.tensor(SAMPLE, (1, *sample_shape(model)), kind=INPUT)
    if recipe.loss.takes_class:
        builder.tensor(LABEL, (1,), "int32", INPUT)
    else:
        builder.tensor(LABEL, (outputs,), kind=INPUT)
    builder.tensor(LEARNING_RATE, (1,), kind=INPUT)
    builder.tensor(COMMAND, (1,), "int32", INPUT)
    return SAMPLE, LABEL, LEARNING_RATE, COMMAND


def _declare_state(
    builder: Builder, layout: TrainingLayout, recipe: TrainingRecipe
) -> tuple[str, ...]:
    builder.tensor(SELECTION, (layout.selection_words,), "int32", VARIABLE)
    builder.tensor(POOL, (layout.pool_elements,), kind=VARIABLE)
    if not _by_importance(layout):
        return SELECTION, POOL
    builder.tensor(IMPORTANCE, (layout.candidates,), kind=VARIABLE, reserved=True)
    if _has_prior(layout, recipe):
        prior = [recipe.prior[layer.spec.name] for layer in layout.drawn]
        builder.constant("prior", np.concatenate(prior).astype(np.float32))
    return STATE


def _has_prior(layout: TrainingLayout, recipe: TrainingRecipe) -> bool:
    """Some channel was trained or measured: otherwise the device begins with none."""
    names = [layer.spec.name for layer in layout.drawn] if _by_importance(layout) else []
    return any(np.any(recipe.prior[name] != op_schema.UNSEEN) for name in names)


def _by_importance(layout: TrainingLayout) -> bool:
    return any(p.importance_offset != op_schema.NO_IMPORTANCE for p in layout.layers)


def _add_control(
    builder: Builder, layout: TrainingLayout, recipe: TrainingRecipe, forward: Forward, outputs: int
):
    by_importance = _by_importance(layout)
    scratch_bytes = op_schema.control_scratch_bytes(layout.candidates, len(layout.drawn))
    builder.op(
        op_schema.CONTROL,
        [
            SAMPLE,
            LABEL,
            LEARNING_RATE,
            COMMAND,
            POOL,
            SELECTION,
            builder.constant("layout", layout.table()),
            IMPORTANCE if by_importance else ABSENT,
            "prior" if _has_prior(layout, recipe) else ABSENT,
            *_trained_weights(layout, forward),
        ],
        [],
        _control_options(layout, recipe, outputs),
        scratch=[builder.tensor("draw_scratch", (scratch_bytes,), "uint8", SCRATCH)],
        mutates=[POOL, SELECTION, *([IMPORTANCE] if by_importance else [])],
        first=True,
    )


def _trained_weights(layout: TrainingLayout, forward: Forward) -> Iterator[str]:
    """Weights and bias of each row of the layout; no bias where it is not trained."""
    for layer in layout.layers:
        yield forward.weights[layer.spec.name]
        yield forward.biases[layer.spec.name] if layer.biases else ABSENT


def _control_options(layout: TrainingLayout, recipe: TrainingRecipe, outputs: int) -> dict:
    strategy, seed = recipe.strategy, recipe.seed
    everything = sum(layer.channel_cost * layer.spec.channels for layer in layout.drawn)
    weighting = strategy.weighting if strategy.by_importance else "uniform"
    return {
        "seed_low": seed & 0xFFFFFFFF,
        "seed_high": seed >> 32,
        "first_draw": recipe.first_draw,
        "capacity": min(recipe.capacity, everything) if layout.drawn else 0,
        "weighting": op_schema.Weighting[weighting.upper()],
        "sharpness": op_schema.SHARPNESSES.index(strategy.sharpness),
        "importance_rule": recipe.importance_rule,
        "core_q16": round((1.0 if strategy.takes_strongest else strategy.core) * _Q16),
        "fixed_elements": layout.fixed_elements,
        "classes": outputs if recipe.loss.takes_class else 0,
        "accumulates": int(layout.accumulates),
        "optimizer_slots": layout.optimizer_slots,
        "clip_norm": recipe.optimizer.clip_norm,
    }


def _append_adam_rate(builder: Builder, layout: TrainingLayout) -> str:
    rates = builder.tensor("rates", (op_schema.ADAM_RATES,))
    builder.op(
        op_schema.ADAM_RATE,
        [LEARNING_RATE, COMMAND, SELECTION, OPTIMIZER],
        [rates],
        {"corrections_offset": layout.selection_words - op_schema.CORRECTION_WORDS},
        mutates=[SELECTION],
    )
    return rates
