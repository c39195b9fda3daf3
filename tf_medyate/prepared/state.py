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
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_medyate.errors import PlanError
from tf_medyate.prepared.pool_layout import (
    Draws,
    Kernels,
    PoolLayout,
    PoolPlacement,
    Sizes,
    lay_out,
)
from tf_medyate.prepared.tensors import Constants, assign, read, sum_over_replicas, with_gradient
from tf_medyate.spec import LAST, MEAN, RUNNING, RUNNING_RATE

_opened = threading.local()  # replicas of a distribution strategy trace in threads of their own


@dataclasses.dataclass(frozen=True)
class DrawnRun:
    """What is drawn of one layer, as tensors; n is 0 to all channels.

    Gradients are computed for m channels, n rounded up, and those beyond n thrown away.

    Attributes:
        weights: float32 [n * positions * outputs], live weights as [channel][position][output].
        index: int32 [n * positions, depth], where in the kernel each row of outputs belongs: the
            last (kernel rank - 1) columns say so.
        places: int32, of the weights in a kernel of m channels, [position][channel][output].
        channels: int32 [m], rising, the last one repeated; channel 0 where nothing is drawn.
        kernel_shape: int32 [4], of a kernel of m channels: height, width, channels, outputs.
        constants: Small constants that the layers share.
    """

    weights: Any
    index: Any
    places: Any
    channels: Any
    kernel_shape: Any
    constants: Constants


@dataclasses.dataclass(frozen=True)
class LiveState:
    """What the state holds at a moment, in NumPy.

    Attributes:
        pool: float32 [pool_elements].
        importance: float32, of the drawn channels.
        placements: By layer, in the order of their slots.
        steps: Steps since the draw.
    """

    pool: np.ndarray
    importance: np.ndarray
    placements: list[PoolPlacement]
    steps: int


@keras.saving.register_keras_serializable("tf_medyate")
class TrainingState(keras.layers.Layer):
    """The pool of live weights, and the draw that filled it.

    The pool is one flat trainable variable: the weights of the drawn channels of all layers, layer
    after layer in execution order, within a layer `[channel][kernel position][output]`. The layers'
    own kernels stay as they were at the last commit, so nothing outside the draw can move, whatever
    the optimizer does. This layer is never called, so Keras lets its variables be made late.

    A node of the step's graph takes some 20 KiB of the process, so a hundred of them outweigh a
    small net. What can be done for all layers together is therefore done once, on the pool, and
    what a draw changes is worked out beforehand, in NumPy. Outside of a graph TensorFlow compiles a
    function of 37 KiB for each operation and shape of variable, and keeps it: so the variables
    are few.

    Attributes:
        pool: float32 variable [pool_elements], or None before the first attachment.
        importance: float32 variable, what the gradients say of each drawn channel, layer after
            layer, as far as it has not been committed to the layers.
        layout: int32 variable, the Layout of the draw.
        positions: Places in the net of the layers that may be drawn from.
        agreed: float32 [pool_elements], the pool when it last held the same weights as the layers'
            kernels; None if that is not known.
        steps: float32 variable [], steps since the draw.
        refresh: One of REFRESHES. Set before the step is traced.
    """

    _NAMES = ("pool", "importance", "layout", "steps")

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        for name in self._NAMES:
            setattr(self, name, None)
        self.sizes: Any = None  # of the layout
        self.positions: tuple[int, ...] = ()
        self.agreed: Any = None
        self._kernels: Any = None  # of the layers that it was allocated for
        self.refresh = MEAN

    pool: Any
    importance: Any
    layout: Any
    steps: Any

    def allocate(self, pool_elements: int, kernels: Kernels, positions: Sequence[int] = ()):
        """Makes the variables, with nothing drawn; keeps the ones there are if the sizes agree.

        Args:
            pool_elements: Weights that there must be room for.
            kernels: Kernel shape of each layer that may be drawn from, in execution order.
            positions: The layers' places in the net.
        """
        sizes = Sizes.of(pool_elements, kernels, positions)
        self._allocate((pool_elements,), (sizes.drawn,), (sum(sizes.parts),))
        self.sizes, self._kernels = sizes, tuple(map(tuple, kernels))
        self.positions = tuple(int(position) for position in positions)
        self._clear()

    def _clear(self):
        assign(self.pool, np.zeros(self.pool.shape, np.float32))
        self.lay_out([()] * self.sizes.layers, draw=-1)

    def _allocate(self, pool, importance, layout):
        if self.pool is not None and (
            (self.pool.shape, self.importance.shape, self.layout.shape)
            == (pool, importance, layout)
        ):
            return
        self.release()
        self.pool = self.add_weight(name="pool", shape=pool, initializer="zeros")
        self.importance = self._fixed("importance", importance, "float32", "zeros")
        self.layout = self._fixed("layout", layout, "int32", np.zeros)
        self.steps = self._fixed("steps", (), "float32", "zeros")

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
        self.sizes = self._kernels = self.agreed = None
        for name in self._NAMES:
            if getattr(self, name) is not None:
                delattr(self, name)
                setattr(self, name, None)

    def lay_out(self, draws: Draws, draw: int):
        """Notes where the runs of a draw lie in the pool; its steps are counted from 0.

        Args:
            draws: The channels drawn of each layer, rising.
            draw: The draw's number.
        """
        assign(self.layout, lay_out(self.sizes, self._kernels, draws, draw).joined())
        assign(self.steps, np.zeros((), np.float32))

    def agrees(self) -> bool:
        """The pool has not changed since it last agreed with the kernels."""
        return self.agreed is not None and np.array_equal(self.agreed, read(self.pool))

    def _read_layout(self) -> PoolLayout:
        (pool,), (drawn,) = self.pool.shape, self.importance.shape
        return PoolLayout.cut(read(self.layout), pool, drawn)

    @property
    def draw(self) -> int:
        """Number of the draw that is in the pool; -1 before the first."""
        return int(self._read_layout().head[0])

    def placements(self) -> list[PoolPlacement]:
        """Where each layer's run lies, by the layer's slot."""
        return self._read_layout().placements()

    def read(self) -> LiveState:
        """The variables' values."""
        steps = int(read(self.steps))
        return LiveState(read(self.pool), read(self.importance), self.placements(), steps)

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

    def run(self, slot: int) -> DrawnRun:
        """The Run of a layer, by its place among the layers that may be drawn from."""
        pool = getattr(_opened, "pools", {}).get(id(self))
        return (pool or _OpenPool(self)).run(slot)  # a layer used outside its model reads alone

    def save_own_variables(self, store):
        """Writes the variables, if there are any."""
        if self.pool is not None:
            for variable in self.variables:
                store[variable.name] = read(variable)

    def load_own_variables(self, store):
        """Reads what `save_own_variables` wrote, making the variables if need be.

        A state that is attached to other layers, or with another budget than the one in the file
        (if there is one), drops its draw instead: the kernels in the file are complete without it.
        Optimizer slots are Keras's to load, and it refuses those of a pool of another size.

        Raises:
            PlanError: A version wrote it that kept other variables.
        """
        kept = set(store.keys())  # an h5 group knows no `in`
        if "pool" not in kept:
            if self._kernels is not None:
                self._clear()
            return
        if kept != set(self._NAMES):
            raise _other_version(f"training state {sorted(self._NAMES)}", f"{sorted(kept)}")
        values = {name: np.asarray(store[name]) for name in self._NAMES}
        pool, importance, layout = (values[name] for name in ("pool", "importance", "layout"))
        sizes = PoolLayout.cut(layout, pool.size, importance.size).sizes
        if layout.size != sum(sizes.parts):
            raise _other_version(f"a layout of {sum(sizes.parts)} words", f"{layout.size}")
        if self._kernels is not None and self.sizes != sizes:
            self._clear()
            return
        self._allocate(pool.shape, importance.shape, layout.shape)
        self.sizes, self.agreed = sizes, None
        for name, value in values.items():
            assign(getattr(self, name), value)


def _other_version(expected: str, received: str) -> PlanError:
    remedy = "Another version of tf_medyate saved it: prepare the original model again."
    return PlanError("file", expected, received, remedy)


class _OpenPool:
    """The pool as it is read in one pass of the model, cut into the layers' runs when asked."""

    def __init__(self, state: TrainingState):
        self._state = state
        self._used: set[int] = set()
        self._runs: list[DrawnRun] | None = None
        self._constants = Constants()

    def run(self, slot: int) -> DrawnRun:
        if self._runs is None:
            self._runs = self._cut()
        self._used.add(slot)
        return self._runs[slot]

    def _split(self, values, sizes, parts: int):
        how = {"axis": self._constants(0), "num_split": parts}
        return tf.raw_ops.SplitV(value=values, size_splits=sizes, **how)

    def _cut(self) -> list[DrawnRun]:
        sizes, vector = self._state.sizes, self._state.layout.value
        lengths = self._constants(sizes.parts)
        self._layout = layout = PoolLayout.of(self._split(vector, lengths, len(sizes.parts)))
        index = tf.reshape(layout.index, self._constants((sizes.rows, sizes.depth)))
        every = sizes.layers + 1
        return [
            DrawnRun(*parts, self._constants)
            for parts in zip(
                self._cut_pool(layout.elements)[:-1],
                self._split(index, layout.rows, every)[:-1],
                self._split(layout.places, layout.elements, every)[:-1],
                self._split(layout.channels, layout.counts, every)[:-1],
                layout.kernel_shapes,
                strict=True,
            )
        ]

    def _cut_pool(self, elements) -> Sequence[Any]:
        def forward(pool):
            def gradient(*d_weights):
                d_pool = tf.raw_ops.ConcatV2(values=d_weights, axis=self._constants(0))
                self._refresh_importance(d_pool)
                return [d_pool]

            return self._split(pool, elements, self._state.sizes.layers + 1), gradient

        return with_gradient(forward, self._state.pool.value)

    def _refresh_importance(self, d_pool):
        state = self._state
        mean: Any = state.importance.value
        squares = tf.square(sum_over_replicas(d_pool))
        sums = tf.math.unsorted_segment_sum(squares, self._layout.owners, mean.shape[0])
        norms = tf.sqrt(sums)
        updated = mean + (norms - mean) * self._count_step()
        if state.refresh == RUNNING:  # of a channel that was never trained there is no mean yet
            updated = tf.where(mean < 0, norms, updated)
        layers = state.sizes.layers
        if len(self._used) < layers:  # nothing was measured of the others
            used = np.isin(np.arange(layers + 1), list(self._used))
            updated = tf.where(tf.repeat(used, self._layout.counts), updated, mean)
        mean.assign(updated)

    def _count_step(self) -> Any:
        """Counts the step; returns its weight in the importance."""
        steps: Any = self._state.steps.value + 1.0
        self._state.steps.value.assign(steps)
        return {MEAN: tf.math.reciprocal(steps), LAST: 1.0, RUNNING: RUNNING_RATE}[
            self._state.refresh
        ]
