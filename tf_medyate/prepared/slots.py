"""What an optimizer keeps for the weights that it trains: counted, known by identity, begun again.

    optimizer_costs   values for each weight, found by building a twin
    renew             makes a built optimizer ready for other variables, in place
    Slots             builds an optimizer, and knows each slot by the variable that it belongs to

Example:
    >>> slots = Slots(optimizer, model.trainable_variables)
    >>> slots.restart(pool, pool.numpy())      # as if it had been built a moment ago
"""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tf_medyate.errors import OptionError
from tf_medyate.prepared.tensors import assign, read
from tf_medyate.spec import LayerSpec

# How Keras names the running mean of the weights that `use_ema=True` asks for, and the sums of
# gradients that `gradient_accumulation_steps` does.
_AVERAGE, _ACCUMULATOR = "average", "gradient_accumulator"


@dataclasses.dataclass(frozen=True, eq=False)
class _Slot:
    """One variable of an optimizer, made for one that is trained."""

    trained: Any
    name: str | None
    variable: Any


@contextlib.contextmanager
def _recorded(optimizer) -> Iterator[list[_Slot]]:
    """Notes every slot that is made inside, with the variable that it is made for."""
    made: list[_Slot] = []
    make = optimizer.add_variable_from_reference

    def record(reference_variable, name=None, *args, **kwargs):
        slot = make(reference_variable, name, *args, **kwargs)
        made.append(_Slot(reference_variable, name, slot))
        return slot

    vars(optimizer)["add_variable_from_reference"] = record
    try:
        yield made
    finally:
        del vars(optimizer)["add_variable_from_reference"]


class Slots:
    """The slots of an optimizer, by the identity of the variables that it trains.

    Args:
        optimizer: A Keras optimizer that is not built yet; it is built here.
        variables: What it will train.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, variables: Sequence[Any]):
        self._optimizer = optimizer
        before = len(optimizer.variables)
        with _recorded(optimizer) as made:
            optimizer.build(list(variables))
        self._made = made
        # An average of weights begins at the weights, whatever Keras fills it with.
        self._following = {_AVERAGE} if optimizer.use_ema else set()
        self._following |= {slot.name for slot in made if _copies(slot)}
        self._starts = {slot.name: _start(slot.variable) for slot in made}
        known = {id(slot.variable) for slot in made}
        self.others = [
            (variable, read(variable))
            for variable in optimizer.variables[before:]
            if id(variable) not in known
        ]
        if (
            optimizer.use_ema
        ):  # Keras lets averages begin at 0, which is right for the very first step
            self.restart_all()

    def of(self, trained) -> list[Any]:
        """The slots of one variable, in the order in which they were made."""
        return [slot.variable for slot in self._made if slot.trained is trained]

    def restart(self, trained, value: np.ndarray):
        """Puts the slots of one variable back to where they start.

        Args:
            trained: One of the variables that the optimizer was built for.
            value: Its value.
        """
        for slot in self._made:
            if slot.trained is trained:
                start = np.full(slot.variable.shape, self._starts[slot.name], np.float32)
                assign(slot.variable, value if slot.name in self._following else start)

    def apply_short_batch(self):
        """Takes the step of a batch that came up short, by the mean of the gradients there are.

        Keras would keep them for the next epoch, when other channels may be drawn. The step counts
        as that of a full batch, also for a schedule.
        """
        optimizer = self._optimizer
        every = optimizer.gradient_accumulation_steps or 1
        done = int(read(optimizer.variables[0])) % every
        if not done:
            return
        _count(optimizer, _steps_taken(optimizer) + every - 1)  # the next one completes a step
        made = [slot for slot in self._made if slot.name == _ACCUMULATOR]
        # Keras will add what is accumulated, and divide by the size of a full batch.
        gradients = [read(slot.variable) * np.float32(every / done - 1) for slot in made]
        optimizer.apply(gradients, [slot.trained for slot in made])

    def restart_all(self):
        """Puts everything back that building made; the steps taken stay counted, as in `renew`."""
        _count(self._optimizer, _steps_taken(self._optimizer))
        for trained in {id(slot.trained): slot.trained for slot in self._made}.values():
            self.restart(trained, read(trained))
        for variable, value in self.others:
            assign(variable, value)


def _copies(slot: _Slot) -> bool:
    value = read(slot.variable)
    return np.ptp(value) > 0 and np.array_equal(value, read(slot.trained))


def _start(slot) -> float:
    return float(np.mean(read(slot)))


def probe_size(specs: Sequence[LayerSpec]) -> int:
    """Size of a vector that the model has: TensorFlow keeps 37 KiB for each new shape."""
    return next((spec.channels for spec in specs), 2)


def optimizer_costs(
    optimizer: keras.optimizers.Optimizer | None, size: int = 2
) -> tuple[int, bool]:
    """Values that an optimizer keeps for each weight, found by building a twin of it.

    Args:
        optimizer: The optimizer; it stays as it is.
        size: Of the vector that is tried; `probe_size` is best.

    Returns:
        (slots per weight, whether it also accumulates gradients over several steps).

    Raises:
        OptionError: The optimizer scales the loss, or what it keeps cannot be told.
    """
    if optimizer is None:
        return 0, False
    _check(optimizer)
    accumulates = bool(optimizer.gradient_accumulation_steps)
    probes = [keras.Variable(np.zeros(shape, np.float32)) for shape in ((size,), (2, 2))]
    slots = Slots(_twin(optimizer), probes)
    if any(value.size > 1 for _, value in slots.others):
        raise OptionError(
            "optimizer",
            "one that keeps so many values for each weight, made by add_variable_from_reference",
            f"{type(optimizer).__name__}, which keeps others beside them",
            "They could not be counted: use another optimizer, such as SGD or Adam.",
        )
    return len(slots.of(probes[0])) - int(accumulates), accumulates


def _check(optimizer):
    several = getattr(keras.optimizers, "MultiOptimizer", ())
    if isinstance(optimizer, (keras.optimizers.LossScaleOptimizer, several)):
        raise OptionError(
            "optimizer",
            "one optimizer for all weights, without loss scaling",
            type(optimizer).__name__,
            "Drawn channels of all layers are trained as one variable, in float32: compile with "
            "the inner optimizer.",
        )
    if optimizer.loss_scale_factor is not None:
        raise OptionError(
            "optimizer",
            "no loss_scale_factor: channels are drawn by the size of their gradients",
            f"{type(optimizer).__name__}(loss_scale_factor={optimizer.loss_scale_factor})",
            "Leave it out: training is in float32.",
        )


def check_decay(optimizer: keras.optimizers.Optimizer | None, kernels: Sequence[Any]):
    """Refuses weight decay that leaves out a kernel whose channels are drawn into the pool.

    Raises:
        OptionError: `exclude_from_weight_decay` names one of the kernels.
    """
    if optimizer is None or optimizer.weight_decay is None:
        return
    decays = getattr(optimizer, "_use_weight_decay", None)  # nothing public tells
    spared = [kernel.path for kernel in kernels if decays is not None and not decays(kernel)]
    if spared:
        raise OptionError(
            "optimizer",
            "weight decay of all kernels that are drawn from, or of none",
            f"one that leaves out {', '.join(spared)}",
            "Draw from other `layers`, freeze these, or leave their exclusion out; biases may be "
            "excluded.",
        )


def renew(optimizer: keras.optimizers.Optimizer):
    """Makes a built optimizer ready to be built for other variables.

    It stays the same object, since the user may hold it. Settings and the number of steps taken
    stay, too; slots are gone. A half accumulated gradient is, as well: its steps count again.
    """
    steps = _steps_taken(optimizer)
    vars(optimizer).update(vars(_twin(optimizer)))
    _count(optimizer, steps)


def _steps_taken(optimizer) -> int:
    """Steps that changed weights, times the gradients accumulated for each.

    The first variable that every optimizer makes counts the gradients; `iterations` the steps.
    """
    every = optimizer.gradient_accumulation_steps or 1
    return int(read(optimizer.variables[0])) // every * every


def _count(optimizer, steps: int):
    assign(optimizer.variables[0], steps)


def _twin(optimizer) -> Any:
    """An optimizer of the same settings, not built."""
    # Keras cannot read back a function that gives the learning rate; nothing public returns it.
    rate = getattr(optimizer, "_learning_rate", None)
    schedules = (keras.optimizers.schedules.LearningRateSchedule, keras.Variable)
    own = callable(rate) and not isinstance(rate, schedules)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a function is not safe to read back
            config = optimizer.get_config()
        twin = type(optimizer).from_config(config | ({"learning_rate": 0.0} if own else {}))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise OptionError(
            "optimizer",
            "one that its own get_config() describes",
            f"{type(optimizer).__name__}: {error}",
            "Let get_config() return every argument of the constructor.",
        ) from error
    if own:
        twin.learning_rate = rate
    return twin
