"""The exported training step, run sample by sample in the official TFLM interpreter.

What happens here is what happens on a device: the graph trains the drawn channels' weights in its
pool, an epoch's end puts them back where all weights lie, and the graph draws the next channels.

Example:
    >>> trainer = TFLMTrainer("out/")
    >>> for sample, label in zip(x, y):
    ...     loss = trainer.step(sample, label)
    >>> trainer.end_epoch()
    >>> trainer.predict(x[0]).shape
    (3,)
"""

from __future__ import annotations

import contextlib
import pathlib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_medyate.errors import NonFiniteLossError, OptionError, PlanError
from tf_medyate.exporter.ir.values import SIGMOID, SOFTMAX
from tf_medyate.exporter.manifest import (
    PLAN_FILE,
    TRAIN_FILE,
    BundleError,
    LayerEntry,
    Manifest,
    read_file,
    read_manifest,
)
from tf_medyate.exporter.ops import schema as op_schema
from tf_medyate.exporter.ops.schema import Command, StateWord
from tf_medyate.files import check_file, replacing
from tf_medyate.kernel_order import as_keras
from tf_medyate.lesson import check_lengths, samples_of
from tf_medyate.select.strategies import ALL
from tf_medyate.simulate.interpreter import (
    ArenaUse,
    Interpreter,
    InterpreterError,
    least_arena,
    require_arena,
)
from tf_medyate.spec import LayerDraw, MemoryBudget, UpdatePlan

if TYPE_CHECKING:
    from tf_medyate.prepared.model import PreparedModel

# Outputs of the graph.
_LOGITS, _LOSS, _SELECTION, _POOL, _IMPORTANCE = range(5)


class TFLMTrainer:
    """Trains an exported bundle in the TFLM interpreter.

    Args:
        bundle: A folder that `md.export` wrote, or its Bundle.
        learning_rate: A number, or a function of the number of samples learned from so far, where
            a batch that came up short counts as a full one (what Keras schedules count, too);
            None for what the bundle says.
        arena_bytes: Size of the arena; None for what is needed.

    Attributes:
        manifest: What the bundle's plan.json says.
        samples: Samples learned from so far.
        updates: Updates done so far.
        epoch: Epochs done so far.

    Raises:
        BundleError: A file is missing, damaged, or belongs to another export.
        InterpreterError: The arena is too small; the error names the bytes needed.
        PluginError: The op library cannot be built, or the TFLM wheel is missing.
    """

    def __init__(
        self,
        bundle: str | pathlib.Path | Any,
        learning_rate: float | Callable[[int], float] | None = None,
        arena_bytes: int | None = None,
    ):
        folder = pathlib.Path(getattr(bundle, "folder", bundle))
        self.manifest: Manifest = read_manifest(folder / PLAN_FILE)
        data = read_file(folder, TRAIN_FILE, self.manifest)
        self._rate = _learning_rate(learning_rate, self.manifest.optimizer.learning_rate)
        needed = max(self.manifest.memory.arena_bytes, least_arena(data))
        if arena_bytes is not None:
            require_arena(arena_bytes, needed)
        self._interpreter = Interpreter(data, arena_bytes or needed)
        self._constants = self._interpreter.constants()
        self._check_constants()
        self.samples = 0
        self.updates = 0
        self.epoch = 0
        self._pending = 0
        self._ruin = ""  # what was not finite since the last commit
        # The first run copies the prior and draws.
        self._run(Command.DISCARD)

    # --- training

    def step(self, sample: Any, label: Any) -> float:
        """Learns from one sample.

        With a batch size above 1 the gradient is accumulated, and applied when the batch is full.

        Args:
            sample: [...] or [1, ...], the shape of the model's input; any number dtype. Of several
                inputs a list, or a dict by name, as Keras takes them.
            label: The class, as a number or a one-hot row; or what each output should be, [n], for
                a loss of targets: 0 to 1 for a binary cross-entropy. Of several outputs a list, or
                a dict by name.

        Returns:
            The sample's loss before the update.

        Raises:
            DataError: Wrong shape or dtype; NonFiniteDataError, LabelError likewise.
            NonFiniteLossError: The loss is not finite; nothing was updated.
        """
        x, y = self._sample(sample), self._label(label)
        optimizer = self.manifest.optimizer
        full = self._pending + 1 >= optimizer.batch_size
        steps = full and not optimizer.clip_norm
        try:
            loss = self._loss(Command.STEP if steps else Command.ACCUMULATE, x, y)
        except NonFiniteLossError as error:
            self._ruin = f"loss {error.received}"
            raise
        self._pending += 1
        if steps:
            self._pending = 0
            self.updates += 1
        elif full:
            self._apply()
        self.samples += 1
        return loss

    def _loss(self, command: Command, x: np.ndarray, y: np.ndarray) -> float:
        """Runs a command that computes the loss of a sample.

        Raises:
            NonFiniteLossError: It is not finite.
        """
        try:
            return float(self._run(command, x, y)[_LOSS][0])
        except InterpreterError as error:
            loss = float(self._interpreter.output(_LOSS)[0])
            if np.isfinite(loss):
                raise
            raise NonFiniteLossError(
                "loss",
                "a finite loss; nothing was updated",
                f"{loss} (TFLM: {error.received})",
                "Leave this sample out. If other samples fail now, too, discard() puts back the "
                "weights from before the epoch.",
            ) from error

    def end_epoch(self) -> bool:
        """Commits what was learned, and draws new channels if it is time to.

        Returns:
            True; a board says False of an epoch that its guard dropped.

        Raises:
            NonFiniteLossError: A loss, a gradient or a trained weight was NaN or infinite: what
                the epoch learned was dropped, as a board and Keras's callback do. The epoch is
                over nevertheless, and the next one may begin.
        """
        if not self._ruin:
            with contextlib.suppress(NonFiniteLossError):  # told below
                if self._pending:
                    self._apply()
                self.commit()
        found, number = self._ruin, self.epoch + 1
        if found:
            self.discard()
        self.epoch = number
        if self._draws_after(number):
            self._run(Command.DRAW)
        if found:
            raise NonFiniteLossError(
                "loss",
                "a finite loss and finite weights",
                f"{found} in epoch {number}",
                f"The weights from before epoch {number} were put back. Lower the learning rate, "
                "clip the gradient, or look for outliers in the data.",
            )
        return True

    def commit(self):
        """Keeps what was learned: discard() comes back to here. Changes no bit of any output.

        Raises:
            NonFiniteLossError: A weight would become NaN or infinite; nothing was changed.
        """
        pool = self._interpreter.output(_POOL)
        changes = [c for layer in self.manifest.trained for c in self._changes(layer, pool)]
        broken = next((name for name, _, new in changes if not np.isfinite(new).all()), None)
        if broken is not None:
            self._ruin = f"NaN or infinity in {broken}"
            raise NonFiniteLossError(
                "weights",
                "finite weights; nothing was committed",
                self._ruin,
                "Call discard(): it puts back the weights from before.",
            )
        for name, rows, new in changes:
            self._constants[name][rows] = new
        self._ruin = ""

    def discard(self):
        """Drops what was learned since the last commit: the weights are what they were."""
        self._run(Command.DISCARD)
        self._pending = 0
        self._ruin = ""

    def _apply(self):
        try:
            self._run(Command.APPLY)
        except InterpreterError as error:
            self._ruin = "gradients that are not finite"
            raise NonFiniteLossError(
                "gradients",
                "finite gradients; nothing was updated",
                error.received,
                "Call discard(): it puts back the weights from before.",
            ) from error
        self._pending = 0
        self.updates += 1

    def _draws_after(self, epoch: int) -> bool:
        every = self.manifest.sampler.epochs_per_draw
        return every > 0 and epoch % every == 0

    def _changes(self, layer: LayerEntry, pool: np.ndarray) -> Iterator[tuple[str, Any, Any]]:
        """What a commit writes of a layer: name of a constant, its rows, their values."""
        channels, run = self._slot(layer)
        n = len(channels) * layer.weights_per_channel
        shape = (len(channels), *self._constants[layer.weights].shape[1:])
        yield layer.weights, list(channels), pool[run : run + n].reshape(shape)
        if layer.biases:
            bias = pool[layer.bias_offset : layer.bias_offset + layer.biases]
            yield layer.bias, slice(None), bias

    # --- another process

    def save(self, path: str | pathlib.Path):
        """Writes everything that training goes on from, to a .npz file: weights and variables.

        Raises:
            OptionError, OutputError: The file has another ending, or cannot be written.
        """
        target = check_file("path", path, (".npz",))
        saved = {name: self._constants[name] for name in self._trained_constants}
        saved |= {f"/{index}": value for index, value in enumerate(self._variables())}
        saved["/progress"] = np.array(self._progress, np.int64)
        saved["/model"] = np.array(self.manifest.files[TRAIN_FILE].sha256)
        saved["/ruin"] = np.array(self._ruin)
        with replacing(target) as draft, draft.open("wb") as file:
            np.savez(file, allow_pickle=False, **saved)

    @classmethod
    def load(
        cls,
        bundle: str | pathlib.Path | Any,
        path: str | pathlib.Path,
        learning_rate: float | Callable[[int], float] | None = None,
        arena_bytes: int | None = None,
    ) -> TFLMTrainer:
        """A trainer that goes on bit for bit where another one was saved.

        Args:
            bundle: The bundle that the other one trained.
            path: What its `save` wrote.
            learning_rate: As for a new trainer.
            arena_bytes: As for a new trainer.

        Raises:
            BundleError: The file is damaged, or belongs to another bundle.
        """
        trainer = cls(bundle, learning_rate, arena_bytes)
        try:
            with np.load(path, allow_pickle=False) as file:
                saved = {name: file[name] for name in file.files}
            trainer._restore(saved)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            remedy = "Name the bundle that was trained, and what its trainer's save() wrote."
            raise BundleError(str(path), "a saved trainer", str(error), remedy) from error
        return trainer

    def _restore(self, saved: dict[str, np.ndarray]):
        if str(saved["/model"]) != self.manifest.files[TRAIN_FILE].sha256:
            raise ValueError("it belongs to another bundle")
        now = self._variables()
        variables = [saved[f"/{index}"] for index in range(len(now))]
        weights = {name: saved[name] for name in self._trained_constants}
        pairs = [*zip(now, variables, strict=True)]
        pairs += [(self._constants[name], value) for name, value in weights.items()]
        if any((a.shape, a.dtype) != (b.shape, b.dtype) for a, b in pairs):
            raise ValueError("its arrays have other shapes")
        for name, value in weights.items():
            self._constants[name][...] = value
        self.samples, self.updates, self.epoch, self._pending = map(int, saved["/progress"])
        self._ruin = str(saved["/ruin"])
        pool, importance = variables[1], variables[2] if len(variables) > 2 else None
        inputs = self._inputs(Command.PREDICT)
        self._interpreter.run_restored((pool, variables[0], importance), *inputs)

    def _variables(self) -> list[np.ndarray]:
        """Selection, pool and perhaps importance, as the graph shows them."""
        has_importance = any(layer.drawn and layer.prior for layer in self.manifest.layers)
        last = _IMPORTANCE if has_importance else _POOL
        return [self._interpreter.output(index) for index in range(_SELECTION, last + 1)]

    @property
    def _progress(self) -> tuple[int, int, int, int]:
        return self.samples, self.updates, self.epoch, self._pending

    @property
    def _trained_constants(self) -> list[str]:
        trained = self.manifest.trained
        return [name for layer in trained for name in (layer.weights, layer.bias) if name]

    # --- looking

    def predict(self, sample: Any) -> Any:
        """The model's output for one sample, as `step` takes it: [classes] or [n].

        Probabilities, if the model ends in a softmax or a sigmoid. Of several outputs a list, or a
        dict, as the model itself gives them.
        """
        x = self._sample(sample)
        [logits] = self._run(Command.PREDICT, x, outputs=1)
        if self.manifest.outputs:
            return self.manifest.divided(logits)
        shaped = logits.reshape(self.manifest.output_shape)
        if self.manifest.ends_in == SOFTMAX:
            powers = np.exp(shaped - shaped.max())
            return powers / powers.sum()
        if self.manifest.ends_in == SIGMOID:
            powers = np.exp(-np.abs(shaped))
            return np.where(shaped < 0, powers, 1) / (1 + powers)
        return shaped

    def loss(self, sample: Any, label: Any) -> float:
        """A sample's loss, which nothing is learned from.

        Raises:
            DataError, LabelError: As `step`; NonFiniteLossError: The loss is not finite.
        """
        return self._loss(Command.EVALUATE, self._sample(sample), self._label(label))

    def accuracy(self, x: Iterable[Any], y: Iterable[Any]) -> float:
        """Share of samples whose class is predicted; several inputs are given as to `model.fit`.

        The class of a target is the largest of its numbers. After a sigmoid cross-entropy it is the
        share of the outputs that are on the right side of one half, as Keras's BinaryAccuracy.

        Raises:
            OptionError: The model has a single output that is no yes or no, or several outputs.
        """
        manifest = self.manifest
        if manifest.outputs:
            received = f"{len(manifest.outputs)} outputs"
            remedy = "Compare predict() with the labels, output by output."
            raise OptionError("accuracy", "a model with one output", received, remedy)
        if not manifest.takes_shares and int(np.prod(manifest.output_shape)) == 1:
            remedy = "Compare predict() with the targets."
            raise OptionError("accuracy", "a model of classes", "one with a single number", remedy)
        half = 0.5 if manifest.ends_in == SIGMOID else 0.0
        right = []
        samples = samples_of(x, manifest.inputs_by_name)
        check_lengths({"x": samples, "y": y})
        for sample, label in zip(samples, y, strict=True):
            wanted, scores = self._label(label), self.predict(sample)
            if manifest.takes_shares:
                right.append(np.mean((scores.reshape(-1) > half) == (wanted > 0.5)))
            else:
                number = wanted[0] if manifest.takes_class else wanted.argmax()
                right.append(scores.argmax() == number)
        return float(np.mean(right))

    @property
    def plan(self) -> UpdatePlan:
        """The channels that are trained now."""
        sampler = self.manifest.sampler
        budget = MemoryBudget(sampler.budget_amount, sampler.budget_unit)
        trains_all = sampler.trains == ALL
        draws, drawn = [], 0
        for layer in self.manifest.layers:
            listed = layer.drawn or (trains_all and layer.whole)
            channels, _ = self._slot(layer) if listed else ((), 0)
            if channels:
                draws.append(LayerDraw(layer.name, channels))
                drawn += len(channels) * layer.channel_cost
        draw = int(self._interpreter.output(_SELECTION)[StateWord.DRAW])
        fixed, drawn = (0, budget.amount) if trains_all else (sampler.fixed_cost, drawn)
        return UpdatePlan(draw, sampler.seed, budget, fixed, drawn, tuple(draws))

    @property
    def importance(self) -> dict[str, np.ndarray]:
        """Running mean of the gradient norm of each channel [channels], by drawn layer."""
        drawn = [layer for layer in self.manifest.layers if layer.drawn]
        if not drawn or not any(layer.prior for layer in drawn):
            return {}
        values = self._interpreter.output(_IMPORTANCE)
        ends = np.cumsum([layer.channels for layer in drawn])[:-1]
        parts = np.split(values, ends)
        return {layer.name: part for layer, part in zip(drawn, parts, strict=True)}

    @property
    def arena(self) -> ArenaUse:
        """What TFLM reports to have allocated."""
        return self._interpreter.arena

    @property
    def arena_bytes(self) -> int:
        """Bytes of the arena that TFLM reports to have allocated."""
        return self.arena.total_bytes

    def weights(self) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
        """Kernels, in Keras's layout, and biases, as last committed.

        Of every layer with weights, but for those that lie in 8 bits or that built-in ops stand
        for: they are never trained.
        """
        return {
            layer.name: self._keras_weights(layer)
            for layer in self.manifest.layers
            if layer.weights and self._constants[layer.weights].dtype == np.float32
        }

    def copy_to(self, model: PreparedModel):
        """Puts the committed weights into a prepared Keras model, layer by layer in their order.

        Layers that lie in 8 bits in the export keep what the model has: they are never trained.

        Raises:
            PlanError: The model has other layers than the one that was exported.
        """
        from tf_medyate.prepared.folding import layer_specs, require_prepared
        from tf_medyate.prepared.layers import masked_layers

        by_name = {layer.name: layer for layer in masked_layers(require_prepared(model))}
        layers = [by_name[spec.name] for spec in layer_specs(model)]
        shapes = [list(layer.kernel.shape) for layer in layers]
        if shapes != [entry.kernel_shape for entry in self.manifest.layers]:
            raise PlanError(
                "model",
                f"the layers of '{self.manifest.model}' in their order",
                f"'{model.name}' with other kernels",
                "Copy into the prepared model that was exported, or one built like it.",
            )
        model.commit()
        learned = self.weights()
        for layer, entry in zip(layers, self.manifest.layers, strict=True):
            if entry.name not in learned:
                continue
            kernel, bias = learned[entry.name]
            layer.kernel.assign(kernel)
            if bias is not None:
                layer.bias.assign(bias)
        model.reload_pool()

    def _keras_weights(self, layer: LayerEntry) -> tuple[np.ndarray, np.ndarray | None]:
        weights = self._constants[layer.weights]
        bias = self._constants[layer.bias].copy() if layer.bias else None
        kernel = as_keras(weights, layer.kernel_shape)
        return np.array(kernel), bias  # a copy: the constants change

    # --- checks and plumbing

    def _run(self, command: Command, sample=None, label=None, outputs: int = 2):
        return self._interpreter.run(*self._inputs(command, sample, label), outputs=outputs)

    def _inputs(self, command: Command, sample=None, label=None) -> tuple[np.ndarray, ...]:
        x = self._zero_sample if sample is None else sample
        y = self._zero_label if label is None else label
        batch = self.manifest.optimizer.batch_size
        # A batch that comes up short counts as a full one.
        seen = batch - 1 if command is Command.APPLY else self._pending
        rate = np.array([self._rate(self.updates * batch + seen)], np.float32)
        return x, y, rate, np.array([command], np.int32)

    def _sample(self, sample: Any) -> np.ndarray:
        return self.manifest.sample.stored(self.manifest.joined(sample))[None]

    def _label(self, label: Any) -> np.ndarray:
        """As the graph takes it: int32 [1], or float32 [n]."""
        y = self.manifest.joined_label(label)
        return np.array([y], np.int32) if isinstance(y, int) else y

    @property
    def _zero_sample(self) -> np.ndarray:
        return np.zeros((1, *self.manifest.input_shape), self.manifest.sample.dtype)

    @property
    def _zero_label(self) -> np.ndarray:
        if self.manifest.takes_class:
            return np.zeros(1, np.int32)
        return np.zeros(int(np.prod(self.manifest.output_shape)), np.float32)

    def _slot(self, layer: LayerEntry) -> tuple[tuple[int, ...], int]:
        """A trained layer's drawn channels, and where its run begins in the pool."""
        words = self._interpreter.output(_SELECTION)[layer.selection_offset :]
        first = op_schema.SELECTION_HEADER_WORDS
        count, run = int(words[0]), int(words[1])
        halves = words[first : first + (count + 1) // 2].astype("<i4").view("<u2")
        return tuple(int(c) for c in halves[:count]), run

    def _check_constants(self):
        for layer in self.manifest.layers:
            if not layer.weights:  # one that built-in ops stand for
                continue
            weights = self._constants.get(layer.weights)
            size = int(np.prod(layer.kernel_shape))
            missing = layer.bias and layer.bias not in self._constants
            if weights is None or weights.size != size or missing:
                raise BundleError(
                    PLAN_FILE,
                    f"the layers of {TRAIN_FILE}",
                    f"layer '{layer.name}' with weights that are not there",
                    "Keep the files of one export together.",
                )


def _learning_rate(given: Any, exported: Any) -> Callable[[int], float]:
    if given is None:
        given = _schedule(exported) if isinstance(exported, dict) else exported
    if callable(given):
        schedule: Callable[[int], Any] = given
        return lambda step: float(schedule(step))
    rate = float(given)
    if not np.isfinite(rate) or rate < 0:
        raise OptionError(
            "learning_rate", "a number of at least 0", repr(given), "Choose for example 0.01."
        )
    return lambda step: rate


def _schedule(config: dict[str, Any]) -> Callable[[int], float]:
    import keras

    # The configuration of a schedule as its own class wrote it.
    return keras.optimizers.schedules.deserialize(config)
