"""What several commands share: flags, files, training with a progress bar, tables."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tf_medyate.errors import DataError, EmptyDataError, OptionError

if TYPE_CHECKING:
    import keras
    import numpy as np

out = Console(highlight=False)


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and keeps the line breaks of lists."""


def command(commands, name: str, run, text: str, epilog: str = ""):
    """Adds a command that `run(args)` does; `text` is its line in the list of commands."""
    description = text[0].upper() + text[1:] + "."
    parser = commands.add_parser(
        name, help=text, description=description, epilog=epilog, formatter_class=Help
    )
    parser.set_defaults(run=run)
    return parser


def preset_list() -> str:
    """The strategies, for a command's help."""
    from tf_medyate.select.strategies import PRESETS

    return "strategies:\n" + "\n".join(f"  {s.name:<15} {s.summary}" for s in PRESETS.values())


def data_flags(parser):
    """--model, --data and --loss."""
    parser.add_argument(
        "--model",
        required=True,
        default=argparse.SUPPRESS,
        help="a Keras model file (.keras or .h5)",
    )
    parser.add_argument(
        "--data",
        required=True,
        default=argparse.SUPPRESS,
        help=".npz with x, y and perhaps x_val, y_val",
    )
    parser.add_argument(
        "--loss",
        default="auto",
        help="a Keras loss by name; auto: sparse_categorical_crossentropy for whole-number y of "
        "one column, categorical_crossentropy for one-hot y, else mean_squared_error",
    )


def training_flags(parser):
    """--budget, --epochs, --batch_size, --learning_rate and --seed."""
    parser.add_argument("--budget", default="64KiB", help='"64KiB", "100kB", "27946 elements"')
    parser.add_argument("--epochs", type=int, default=20, help="passes over the data")
    parser.add_argument("--batch_size", type=int, default=8, help="samples in a batch")
    parser.add_argument("--learning_rate", type=float, default=0.05, help="of SGD, cosine decay")
    parser.add_argument("--seed", type=int, default=0, help="seed of draws and shuffling")


# --- training


def cosine(rate: float, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch that falls along a cosine, from `rate` at epoch 0."""
    import math

    return rate * 0.5 * (1 + math.cos(math.pi * epoch / epochs))


def train(base, data, args, name: str, loss: str, text: str, calibration: Any = None):
    """Fine-tunes a copy of `base`; returns the prepared model, the callback and the score."""
    import keras

    import tf_medyate as md

    x, y, x_test, y_test = data
    keras.utils.set_random_seed(args.seed)
    model = md.prepare(base)
    metrics = ["accuracy"] if loss.endswith("crossentropy") else []
    model.compile(keras.optimizers.SGD(args.learning_rate), loss, metrics=metrics)
    budget = args.budget if md.strategy(name).needs_budget else None
    medyate = md.MeDyate(budget, name, seed=args.seed, calibration=calibration, verbose=0)
    rates = keras.callbacks.LearningRateScheduler(
        lambda epoch: cosine(args.learning_rate, epoch, args.epochs)
    )
    callbacks = [medyate, rates, _progress_callback(text, args.epochs)]
    model.fit(x, y, batch_size=args.batch_size, epochs=args.epochs, callbacks=callbacks, verbose=0)
    return model, medyate, score(model, x_test, y_test, loss)


def epoch_progress(epochs: int) -> Progress:
    """A progress bar whose tasks have the fields `epoch` and `loss`."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
        console=out,
    )


def _progress_callback(text: str, epochs: int):
    """A progress bar over all batches of a fit, with the loss."""
    import keras

    class Bar(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.bar = epoch_progress(epochs)
            steps = (self.params or {}).get("steps") or 1
            self.task = self.bar.add_task(text, total=steps * epochs, epoch=1, loss=float("nan"))
            self.bar.start()

        def on_epoch_begin(self, epoch, logs=None):
            self.bar.update(self.task, epoch=epoch + 1)

        def on_train_batch_end(self, batch, logs=None):
            self.bar.update(self.task, advance=1, loss=(logs or {}).get("loss", float("nan")))

        def on_train_end(self, logs=None):
            self.bar.stop()

    return Bar()


def score(model: keras.Model, x, y, loss: str) -> float:
    """Accuracy in 0..1 for classifiers, else the mean squared error."""
    import numpy as np

    outputs = np.asarray(model.predict(x, batch_size=64, verbose="0"))
    if not loss.endswith("crossentropy"):
        return float(np.mean((outputs - y) ** 2))
    truth = y if loss.startswith("sparse") else y.argmax(-1)
    return float(np.mean(outputs.argmax(-1) == np.reshape(truth, outputs.shape[:-1])))


def metric(loss: str) -> str:
    """Name of what `score` gives."""
    return "accuracy" if loss.endswith("crossentropy") else "mean squared error"


# --- tables


def results_table(title: str) -> Table:
    """A table of strategies, scores and memory."""
    table = Table(title=title, title_justify="left")
    for heading in ("strategy", "accuracy", "memory of the update", "share of full"):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    return table


def memory_cells(medyate) -> tuple[str, str]:
    """Bytes that the update used at most, and its share of full fine-tuning's."""
    used = max(record.plan.used for record in medyate.report().epochs)
    full = medyate.cost.full(medyate.specs)
    return medyate.budget.format(used), f"{used / full:.1%}"


# --- files


def whole(argument: str, text: str) -> int:
    """Reads a whole number, or a share is refused with what to write instead.

    Raises:
        OptionError: The text is no whole number.
    """
    try:
        return int(text)
    except ValueError:
        remedy = "Write 0.97 for a share of the score, or 8 for eight layers."
        raise OptionError(argument, "a number", repr(text), remedy) from None


def load(args) -> tuple[keras.Model, tuple, str]:
    """Model, (x, y, x_val, y_val) and loss of the flags --model, --data and --loss."""
    base = load_model(args.model)
    data = read_npz(args.data)
    return base, data, loss_name(args.loss, data[1])


def load_model(path: str) -> keras.Model:
    """The Keras model of --model.

    Raises:
        OptionError: There is no such file, or it holds no model.
    """
    import keras

    _require_file("--model", path)
    try:
        loaded: Any = keras.models.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        remedy = "Save it with model.save('model.keras') in Keras 3."
        raise OptionError("--model", "a Keras model file", f"{path} ({error})", remedy) from None
    return loaded


def _require_file(flag: str, path: str):
    if not Path(path).exists():
        raise OptionError(flag, "an existing file", str(path), "Check the path.")


def read_npz(path: str) -> tuple[np.ndarray, ...]:
    """(x, y, x_val, y_val) of --data; without validation data the last fifth is held back.

    Raises:
        OptionError, DataError, EmptyDataError: The file cannot be used.
    """
    import numpy as np

    _require_file("--data", path)
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, AttributeError) as error:
        remedy = "Write it with numpy.savez(path, x=x, y=y)."
        raise DataError("--data", "an .npz file of arrays", f"{path} ({error})", remedy) from None
    if not {"x", "y"} <= arrays.keys():
        remedy = "Write it with numpy.savez(path, x=x, y=y)."
        raise DataError("--data", "arrays named x and y", f"{sorted(arrays)}", remedy)
    x, y = arrays["x"].astype(np.float32), arrays["y"]
    if len(x) != len(y) or len(x) < 2:
        remedy = "Give every sample one target."
        raise EmptyDataError("--data", "two samples or more, x and y of one length",
                             f"{len(x)} x and {len(y)} y", remedy)  # fmt: skip
    if {"x_val", "y_val"} <= arrays.keys():
        return x, y, arrays["x_val"].astype(np.float32), arrays["y_val"]
    cut = len(x) - max(1, len(x) // 5)
    return x[:cut], y[:cut], x[cut:], y[cut:]


def loss_name(name: str, y: np.ndarray) -> str:
    """The Keras loss of --loss; "auto" goes by the targets."""
    if name != "auto":
        return name
    if y.dtype.kind in "iu" and (y.ndim == 1 or y.shape[-1] == 1):
        return "sparse_categorical_crossentropy"
    one_hot = y.ndim == 2 and y.shape[1] > 1 and set(map(float, y.flat)) <= {0.0, 1.0}
    return "categorical_crossentropy" if one_hot else "mean_squared_error"
