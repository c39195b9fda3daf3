"""What a training run must remember, kept in Keras variables so that it is saved with the model.

    TrainingState    the pool of live weights, and where in it each layer's run lies
    TrainingState.opened    cuts the pool into the layers' runs, once for a pass of the model

Example:
    >>> state.allocate(pool_elements=2048, kernels=[(3, 3, 16, 32), (3, 3, 32, 32)])
    >>> with state.opened():
    ...     run = state.run(slot=0)          # what a masked layer computes with
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.tensors import Constants, sum_over_replicas

# Weight of the newest step in the running mean of a channel's gradient norm: about the last
# ten steps count, less than one epoch of the data sets that fit a device.
IMPORTANCE_MOMENTUM = 0.9

_opened = threading.local()  # replicas of a distribution strategy trace in threads of their own

Kernels = Sequence[Sequence[int]]
Draws = Sequence[Sequence[int] | np.ndarray]


@dataclasses.dataclass(frozen=True)
class Run:
    """What is drawn of one layer, as tensors; n is 0 to all channels.

    A convolution without channels has no gradient in TensorFlow: where nothing is drawn,
    `channels` and `kernel_shape` stand for channel 0, and `elements` is 0.

    Attributes:
        weights: float32 [elements], live weights as [channel][kernel position][output].
        index: int32 [n * positions, depth], where in the kernel each row of outputs belongs: the
            last (kernel rank - 1) columns say so.
        channels: int32 [max(n, 1)], rising.
        kernel_shape: int32 [4], of a kernel of just these channels: height, width, channels,
            outputs.
        elements: int32 [1].
        constants: Small constants that the layers share.
    """

    weights: Any
    index: Any
    channels: Any
    kernel_shape: Any
    elements: Any
    constants: Constants


@keras.saving.register_keras_serializable("tf_medyate")
class TrainingState(keras.layers.Layer):
    """The pool of live weights, and the number of the draw that filled it.

    The pool is one flat trainable variable: the weights of the drawn channels of all layers, layer
    after layer in execution order, within a layer `[channel][kernel position][output]`. The layers'
    own kernels stay as they were at the last commit, so nothing outside the draw can move, whatever
    the optimizer does. This layer is never called, so Keras lets its variables be made late.

    A node of the step's graph takes some 20 KiB of the process, so a hundred of them outweigh a
    small net. What can be done for all layers together is therefore done once, on the pool, and
    what a draw changes is worked out beforehand, in NumPy.

    Attributes:
        pool: float32 variable [pool_elements], or None before the first attachment.
        draw: int64 variable, number of the draw that is in the pool; -1 before the first.
        step_scale: float32 variable, what gradients of drawn channels are multiplied by; 1 unless
            the strategy lengthens their steps.
        importance: float32 variable, running mean of the gradient norm of each drawn channel, layer
            after layer, as far as it has not been committed to the layers.
        counts: int32 variable [3, layers + 1]: elements, `index` rows and channels of each layer's
            run, and in the last column what is left over.
        kernel_shapes, index, channels, places, slots: int32 variables: the layers' Runs one behind
            the other; the place of each pool element's gradient in the kernel gradients one behind
            the other; the channel that each pool element belongs to, as a place in
            `importance`, -1 for none.
    """

    _NAMES = (
        "pool",
        "draw",
        "step_scale",
        "importance",
        "counts",
        "kernel_shapes",
        "index",
        "channels",
        "places",
        "slots",
    )

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        for name in self._NAMES:
            setattr(self, name, None)

    pool: Any
    draw: Any
    step_scale: Any
    importance: Any
    counts: Any
    kernel_shapes: Any
    index: Any
    channels: Any
    places: Any
    slots: Any

    def allocate(self, pool_elements: int, kernels: Kernels):
        """Makes the variables; keeps the ones there are if the sizes are the same.

        Args:
            pool_elements: Weights that there must be room for.
            kernels: Kernel shape of each layer that may be drawn from, in execution order.
        """
        self._allocate(_sizes(pool_elements, kernels))
        self.lay_out(kernels, [()] * len(kernels))

    def _allocate(self, sizes: Mapping[str, tuple[int, ...]]):
        if self.pool is not None and all(
            tuple(getattr(self, name).shape) == shape for name, shape in sizes.items()
        ):
            return
        self.release()
        constant = keras.initializers.Constant
        self.pool = self.add_weight(name="pool", shape=sizes["pool"], initializer="zeros")
        self.draw = self._fixed("draw", (), "int64", constant(-1))
        self.step_scale = self._fixed("step_scale", (), "float32", constant(1.0))
        self.importance = self._fixed("importance", sizes["importance"], "float32", "zeros")
        for name in self._NAMES[4:]:
            setattr(self, name, self._fixed(name, sizes[name], "int32", "zeros"))

    def _fixed(self, name, shape, dtype, initializer):
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",  # they are the same in all
        )

    def release(self):
        """Gives the variables back."""
        for name in self._NAMES:
            if getattr(self, name) is not None:
                delattr(self, name)
                setattr(self, name, None)

    def lay_out(self, kernels: Kernels, draws: Draws):
        """Notes where the runs of a draw lie in the pool.

        Args:
            kernels: As given to `allocate`.
            draws: The channels drawn of each layer, rising.
        """
        for name, value in _layout(kernels, draws, self._sizes_now()).items():
            getattr(self, name).assign(value)

    def _sizes_now(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(getattr(self, name).shape) for name in self._NAMES}

    def importance_start(self, slot: int) -> int:
        """Where in `importance` a layer's channels begin."""
        return int(self.counts.numpy()[2, :slot].sum())

    # --- in the graph

    @contextlib.contextmanager
    def opened(self):
        """Lets the layers called inside share one reading of the pool."""
        before = getattr(_opened, "pools", {})
        if self.pool is not None:
            _opened.pools = {**before, id(self): _OpenPool(self)}
        try:
            yield
        finally:
            _opened.pools = before

    def run(self, slot: int) -> Run:
        """The Run of a layer, by its place among the layers that may be drawn from."""
        pool = getattr(_opened, "pools", {}).get(id(self))
        return (pool or _OpenPool(self)).run(slot)  # a layer used outside its model reads alone

    def save_own_variables(self, store):
        """Writes the variables, if there are any."""
        if self.pool is not None:
            for variable in self.variables:
                store[variable.name] = variable.numpy()

    def load_own_variables(self, store):
        """Reads what `save_own_variables` wrote, making the variables if need be."""
        if "pool" not in set(store.keys()):  # an h5 group knows no `in`
            return
        self._allocate({name: np.asarray(store[name]).shape for name in self._NAMES})
        for variable in self.variables:
            variable.assign(np.asarray(store[variable.name]))


class _OpenPool:
    """The pool as it is read in one pass of the model, cut into the layers' runs."""

    def __init__(self, state: TrainingState):
        self._state = state
        self._used: set[int] = set()
        self._constants = Constants()
        counts = state.counts.value
        self._layers = int(counts.shape[1]) - 1
        elements, rows, self._channel_counts = tf.unstack(counts)
        self._sizes = self._split(elements, self._constants((1,) * (self._layers + 1)))
        self._shapes = tf.unstack(tf.convert_to_tensor(state.kernel_shapes.value))
        self._index = self._split(state.index.value, rows)
        self._channels = self._split(state.channels.value, self._channel_counts)
        self._weights = self._cut(elements)

    def _split(self, values, sizes):
        how = {"axis": self._constants(0), "num_split": self._layers + 1}
        return tf.raw_ops.SplitV(value=values, size_splits=sizes, **how)

    def _cut(self, elements):
        @tf.custom_gradient
        def cut(pool):
            def gradient(*d_weights):
                axis = self._constants(0)
                d_kernels = tf.raw_ops.ConcatV2(values=d_weights, axis=axis)
                d_pool = tf.gather(d_kernels, self._state.places.value, axis=axis)
                self._refresh_importance(d_pool)
                return d_pool * self._state.step_scale.value

            return tuple(self._split(pool, elements)), gradient

        return cut(tf.convert_to_tensor(self._state.pool.value))

    def run(self, slot: int) -> Run:
        self._used.add(slot)
        return Run(
            self._weights[slot],
            self._index[slot],
            self._channels[slot],
            self._shapes[slot],
            self._sizes[slot],
            self._constants,
        )

    def _refresh_importance(self, d_pool):
        mean: Any = self._state.importance.value
        squares = tf.square(sum_over_replicas(d_pool))
        sums = tf.math.unsorted_segment_sum(squares, self._state.slots.value, mean.shape[0])
        step = (1.0 - IMPORTANCE_MOMENTUM) * (tf.sqrt(sums) - mean)
        if len(self._used) < self._layers:  # nothing was measured of the others
            used = np.isin(np.arange(self._layers + 1), list(self._used)).astype(np.float32)
            step *= tf.repeat(used, self._channel_counts)
        mean.assign_add(step)


def _sizes(pool_elements: int, kernels: Kernels) -> dict[str, tuple[int, ...]]:
    """Shapes that hold the layout of every draw that the pool has room for."""
    layers = len(kernels)
    channels = [int(kernel[-2]) for kernel in kernels]
    outputs = [int(kernel[-1]) for kernel in kernels]
    weights = [int(np.prod(kernel)) // int(kernel[-2]) for kernel in kernels]
    rows = sum(c * w // o for c, w, o in zip(channels, weights, outputs, strict=True))
    depth = max(len(kernel) - 1 for kernel in kernels)
    drawn = min(sum(channels), pool_elements // min(weights)) + layers
    return {
        "pool": (pool_elements,),
        "importance": (drawn,),
        "counts": (3, layers + 1),
        "kernel_shapes": (layers, 4),
        "index": (min(rows, pool_elements // min(outputs)), depth),
        "channels": (drawn,),
        "places": (pool_elements,),
        "slots": (pool_elements,),
    }


def _layout(
    kernels: Kernels, draws: Draws, sizes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Values of counts, kernel_shapes, index, channels, places and slots."""
    values = {name: np.zeros(sizes[name], np.int32) for name in ("index", "channels")}
    gradients = np.arange(sizes["places"][0], dtype=np.int32)
    slots = np.full(sizes["slots"], -1, np.int32)
    counts = np.zeros(sizes["counts"], np.int32)
    shapes = []
    for place, (kernel, draw) in enumerate(zip(kernels, draws, strict=True)):
        *window, _, outputs = (int(side) for side in kernel)
        positions, drawn = int(np.prod(window, dtype=np.int64)), np.asarray(draw, np.int32)
        elements, rows, channels = counts[:, :place].sum(axis=1)
        named = drawn if drawn.size else np.zeros(1, np.int32)
        index = _row_index(window, drawn)
        run = np.arange(drawn.size * positions * outputs).reshape(positions, -1, outputs)
        part = slice(elements, elements + run.size)
        gradients[part] = elements + run.transpose(1, 0, 2).reshape(-1)
        slots[part] = channels + np.repeat(np.arange(drawn.size), positions * outputs)
        values["index"][rows : rows + len(index), -index.shape[1] :] = index
        values["channels"][channels : channels + named.size] = named
        counts[:, place] = run.size, len(index), named.size
        shapes.append([1] * (2 - len(window)) + window + [named.size, outputs])
    totals = (sizes["pool"][0], sizes["index"][0], sizes["channels"][0])
    counts[:, -1] = totals - counts[:, :-1].sum(axis=1)
    shapes = np.array(shapes, np.int32)
    return values | {
        "places": gradients,
        "slots": slots,
        "counts": counts,
        "kernel_shapes": shapes,
    }


def _row_index(window: Sequence[int], channels: np.ndarray) -> np.ndarray:
    """Places [n * positions, kernel rank - 1] in a kernel of the channels' rows of outputs."""
    corners = np.indices(tuple(window)).reshape(len(window), -1).T if window else np.zeros((1, 0))
    wide = np.repeat(corners[None, :, :], channels.size, axis=0)
    tall = np.broadcast_to(channels[:, None, None], (*wide.shape[:2], 1))
    return np.concatenate([wide, tall], axis=2).reshape(-1, len(window) + 1).astype(np.int32)
