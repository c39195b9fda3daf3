"""The functional model that `prepare` returns: plain Keras, plus the training state.

`fit` checks its data first and lets the MeDyate callback calibrate on them; everything else is
inherited.
"""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.prepared.copies import freeze
from tf_medyate.prepared.data import FitData, check_data, fit_data, is_arrays
from tf_medyate.prepared.graph import trace
from tf_medyate.prepared.layers import DRAWN, ChannelMasked, masked_layers
from tf_medyate.prepared.parts import why_whole
from tf_medyate.prepared.state import TrainingState
from tf_medyate.prepared.tensors import assign, taped_directly


@keras.saving.register_keras_serializable("tf_medyate")
class PreparedModel(keras.Model):
    """A flat functional model of masked layers.

    Attributes:
        training_state: The pool and the draw number of the last or current fine-tuning.
        attachment: What the training functions were last traced for.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.training_state = TrainingState(name="medyate_state")
        self.attachment = Attachment()
        self._offered = _Hidden(None)
        self._class_weight = _Hidden(None)

    def call(self, inputs, training=None, mask=None, **kwargs):
        """Applies the layers; they share one reading of the pool."""
        with self.training_state.opened():
            return super().call(inputs, training=training, mask=mask, **kwargs)

    def train_step(self, *args, **kwargs):
        """Keras's step; its gradients are taken where the model is called."""
        with taped_directly():
            return super().train_step(*args, **kwargs)

    def fit(self, *args, **kwargs):
        """Trains as `keras.Model.fit` does, after checking the data.

        Raises:
            EmptyDataError, NonFiniteDataError, LabelError: Arrays that cannot be trained on.
        """
        given = _FIT.bind(self, *args, **kwargs).arguments
        if is_arrays(given.get("x")):
            check_data(self, given.get("x"), given.get("y"))
        self._offered = _Hidden(fit_data(**given))
        self._class_weight = _Hidden(given.get("class_weight"))
        try:
            return super().fit(*args, **kwargs)
        finally:
            self._offered = _Hidden(None)

    @property
    def frozen_layers(self) -> tuple[str, ...]:
        """Names of the layers whose weights stay as they are: no channels can be drawn from them.

        Layers that `trainable` freezes are not among them.
        """
        others = (layer for layer in self.layers if not isinstance(layer, ChannelMasked))
        return tuple(layer.name for layer in others if getattr(layer, "weights", ()))

    def why_frozen(self) -> dict[str, tuple[str, str]]:
        """(reason, what to do) for each of the `frozen_layers`."""
        graph = trace(self)
        found = {node.name: why_whole(graph, node) for node in graph.nodes}
        return {name: reason for name in self.frozen_layers if (reason := found.get(name))}

    def summary(self, *args, **kwargs):
        """Keras's summary, and lines that name the `frozen_layers` and say why."""
        super().summary(*args, **kwargs)
        if self.frozen_layers:
            tell = kwargs.get("print_fn") or print
            for name, (reason, remedy) in self.why_frozen().items():
                tell(f"{name}: {reason}. {remedy}")
            tell(
                f"Frozen, since no channels can be drawn from them: {', '.join(self.frozen_layers)}"
            )

    @property
    def fitting(self) -> FitData | None:
        """What `fit` is training on; None outside of it."""
        return self._offered.value

    @property
    def class_weight(self) -> Mapping[int, float] | None:
        """The class weights of the last `fit`; an export takes them over."""
        return self._class_weight.value

    def save(self, filepath, *args, **kwargs):
        """Saves as `keras.Model.save` does, in the .keras format.

        Raises:
            OptionError: The .h5 format of Keras 2.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            remedy = f"Save as {pathlib.Path(filepath).stem}.keras, or strip the model first."
            received = f"{str(filepath)!r}, which would not hold the pool"
            raise OptionError("filepath", "a name that ends in .keras", received, remedy)
        super().save(filepath, *args, **kwargs)

    def get_config(self):
        """Keras's description, and what is trained: a saved optimizer has slots for just that."""
        state = self.training_state
        layers = {
            layer.name: [layer.mode, layer.slot, layer.kernel.trainable, layer.bias_trainable]
            for layer in masked_layers(self)
        }
        pool = 0 if state.pool is None else state.pool.shape[0]
        trained = {"pool": pool, "positions": list(state.positions), "layers": layers}
        trained |= {"refresh": state.refresh}
        return super().get_config() | {"trained": trained, "output_names": self.output_names}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Builds the model as it was described, its pool included."""
        config = dict(config)
        trained = config.pop("trained", None)  # earlier versions did not save these
        names = config.pop("output_names", None)
        model: Any = super().from_config(config, custom_objects)
        model.output_names = list(names or model.output_names)
        for name in model.frozen_layers:  # parts that a layer makes later do not know of it
            freeze(model.get_layer(name))
        if trained is not None:
            model._set_trained(trained)
        return model

    def _set_trained(self, trained):
        state, layers = self.training_state, trained["layers"]
        state.refresh = trained.get("refresh", state.refresh)
        for layer in masked_layers(self):
            mode, layer.slot, kernel, bias = layers[layer.name]
            layer.set_mode(mode, bias, lambda: state)
            layer.kernel.trainable = kernel
        drawn = [layer for layer in masked_layers(self) if layer.mode in DRAWN]
        drawn.sort(key=lambda layer: layer.slot)
        if trained["pool"]:
            kernels = [layer.unit_shape for layer in drawn]
            state.allocate(trained["pool"], kernels, trained["positions"])

    def commit(self):
        """Writes live weights and importances into the layers; changes no output.

        Kernels that were assigned from outside since the last time count, if nothing was learned
        since: the pool follows them.
        """
        state = self.training_state
        if state.pool is None:
            return
        if state.agrees():
            self.reload_pool()
        live = state.read()
        for layer in masked_layers(self):
            layer.commit(live)
        state.agreed = live.pool

    def reload_pool(self):
        """Lets the pool follow kernels that were assigned from outside, `commit`'s other way."""
        state = self.training_state
        if state.pool is None:
            return
        pool = np.zeros(state.pool.shape, np.float32)
        placements = state.placements()
        for layer in masked_layers(self):
            if layer.mode in DRAWN:
                placement = placements[layer.slot]
                pool[placement.weights] = layer.read_channels(placement.channels).reshape(-1)
        assign(state.pool, pool)
        state.agreed = pool

    def set_weights(self, weights):
        """Sets all weights, those in the pool included, as `get_weights` gave them."""
        super().set_weights(weights)
        self.training_state.agreed = None

    def save_own_variables(self, store):
        """Commits before the layers are saved."""
        self.commit()
        super().save_own_variables(store)


class Attachment:
    """What the model's training functions were last traced for.

    Attributes:
        owner: Who set the modes: another has to do it again.
        slots: What the optimizer keeps for the variables that it trains, if there is one.
    """

    def __init__(self):
        self._modes, self._pool, self._optimizer = None, None, None
        self.owner: object = None
        self.slots: Any = None

    def remember(self, modes: tuple, pool, optimizer, slots):
        """Notes the layers' modes, the pool variable, the optimizer and its slots."""
        self._modes, self._pool, self._optimizer = modes, pool, optimizer
        self.slots = slots

    def matches(self, modes: tuple, pool, optimizer) -> bool:
        """The same modes, and the very same variable and optimizer."""
        return self._modes == modes and self._pool is pool and self._optimizer is optimizer


class _Hidden:
    """Holds what `fit` was given out of sight of Keras's attribute tracking."""

    def __init__(self, value: Any):
        self.value = value


_FIT = inspect.signature(keras.Model.fit)
