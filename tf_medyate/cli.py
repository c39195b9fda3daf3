"""The `medyate` command: demo, finetune, rank, compare.

    medyate demo                                                   # a watch learns its wearer
    medyate finetune --model m.keras --data d.npz --budget 64KiB --out tuned.keras
    medyate rank     --model m.keras --data d.npz
    medyate compare  --model m.keras --data d.npz --budget 64KiB

A data file holds arrays `x` and `y`, and `x_val` and `y_val` where there are validation data
(else the last fifth of each is held back).
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

from absl import app
from absl.flags import argparse_flags
from rich.console import Console
from rich.table import Table

from tf_medyate.errors import DataError, EmptyDataError, MedyateError, OptionError

if TYPE_CHECKING:
    import keras
    import numpy as np

_out = Console(highlight=False)


def run():
    """Entry point of the `medyate` command."""
    app.run(main, flags_parser=_parse)


def main(args: argparse.Namespace) -> int:
    """Runs one command; a mistake of the user's ends with its explanation, not a traceback."""
    _import_tensorflow_quietly()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its retracing hints mean nothing here
    try:
        args.run(args)
    except MedyateError as error:
        print(f"medyate {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"medyate {args.command}: stopped.", file=sys.stderr)
        return 130
    return 0


def _import_tensorflow_quietly():
    """Keeps what TensorFlow's C++ side says of missing GPUs off the screen; errors still raise."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        importlib.import_module("tensorflow")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


# --- flags


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    from tf_medyate.strategies import PRESETS

    parser = argparse_flags.ArgumentParser(
        prog="medyate",
        description="Fine-tune Keras models inside a memory budget.",
        epilog="Every command explains its flags: medyate finetune --help",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    presets = "strategies:\n" + "\n".join(f"  {s.name:<15} {s.summary}" for s in PRESETS.values())

    demo = _command(commands, "demo", _demo, "watch a model learn a person it never saw")
    demo.add_argument("--wearer", type=int, default=0, help="who is left out, 0 to 9")
    demo.add_argument("--budget", default="8KiB", help="memory for the update")
    demo.add_argument("--epochs", type=int, default=15, help="epochs of fine-tuning")
    demo.add_argument("--seed", type=int, default=0, help="seed of draws and shuffling")
    demo.add_argument("--out", default="out/demo", help="folder for report and pictures")

    tune = _command(
        commands, "finetune", _finetune, "fine-tune a .keras file on an .npz file", presets
    )
    _data_flags(tune)
    _training_flags(tune)
    tune.add_argument("--strategy", default="medyate", help="how to choose channels, see below")
    tune.add_argument("--out", default="tuned.keras", help="the fine-tuned model")
    tune.add_argument("--report", default="report.html", help="report: .html, .json or .txt")

    rank = _command(commands, "rank", _rank, "rank a model's layers by what training them is worth")
    _data_flags(rank)
    rank.add_argument("--ranking", default="lara", help="lara, rgn, fisher or last_k")
    rank.add_argument("--top_k", default="0.97", help="share of the score, or number of layers")
    rank.add_argument("--batch_size", type=int, default=8, help="samples in a batch")
    rank.add_argument("--batches", type=int, default=16, help="batches to measure")

    compare = _command(
        commands, "compare", _compare, "try several strategies on the same data", presets
    )
    _data_flags(compare)
    _training_flags(compare)
    compare.add_argument(
        "--strategies", default="head,medyate,trady,greedy,full", help="comma-separated, see below"
    )
    return parser.parse_args(argv[1:])


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and keeps the line breaks of the list of strategies."""


def _command(commands, name: str, run, text: str, epilog: str = ""):
    description = text[0].upper() + text[1:] + "."
    parser = commands.add_parser(
        name, help=text, description=description, epilog=epilog, formatter_class=_Help
    )
    parser.set_defaults(run=run)
    return parser


def _data_flags(parser):
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


def _training_flags(parser):
    parser.add_argument("--budget", default="64KiB", help='"64KiB", "100kB", "27946 elements"')
    parser.add_argument("--epochs", type=int, default=20, help="passes over the data")
    parser.add_argument("--batch_size", type=int, default=8, help="samples in a batch")
    parser.add_argument("--learning_rate", type=float, default=0.05, help="of SGD, cosine decay")
    parser.add_argument("--seed", type=int, default=0, help="seed of draws and shuffling")


# --- commands


def _demo(args):
    from tf_medyate.data import leave_one_out
    from tf_medyate.zoo.pretrain import pretrained_watch_cnn

    split = leave_one_out(args.wearer)
    _out.print(f"[bold]A watch learns its wearer[/] - {split}")
    base = pretrained_watch_cnn(args.wearer, verbose=1)
    data = (split.adapt_x, split.adapt_y, split.test_x, split.test_y)
    source = (split.source_x[::8], split.source_y[::8], 32)
    table = _results("On recordings that this wearer made later")
    _out.print("Fine-tuning on the wearer's first recordings, three ways:")
    before = _accuracy(base, split.test_x, split.test_y, "sparse_categorical_crossentropy")
    table.add_row("as shipped", f"{before:.1%}", "-", "-")
    args.batch_size, args.learning_rate = 8, 0.05
    loss = "sparse_categorical_crossentropy"
    for name, text in (("head", "head only"), ("medyate", "MeDyate"), ("full", "full")):
        _, medyate, score = _train(base, data, args, name, loss, text, source)
        table.add_row(text, f"{score:.1%}", *_bytes(medyate))
        if name == "medyate":
            report = medyate.report()
    _out.print(table)
    folder = Path(args.out)
    page = report.save_html(folder / "report.html")
    report.save_png(folder)
    _out.print(f"What was drawn, and why: [bold]{page}[/] (and PNG files beside it)")


def _finetune(args):
    from tf_medyate.folding import strip

    base, data, loss = _load(args)
    model, medyate, score = _train(base, data, args, args.strategy, loss, args.strategy)
    report = medyate.report()
    _save_report(report, Path(args.report))
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    strip(model).save(args.out)
    print(report)
    before = _accuracy(base, data[2], data[3], loss)
    _out.print(f"{_metric(loss)} on the validation data: {before:.4g} before, {score:.4g} after.")
    _out.print(f"Model: [bold]{args.out}[/]   Report: [bold]{args.report}[/]")


def _rank(args):
    import tf_medyate as md

    base, data, loss = _load(args)
    model = md.prepare(base)
    model.compile("sgd", loss)
    _out.print(f"Measuring {len(md.layer_specs(model))} layers on up to {args.batches} batches ...")
    size = 1 if args.ranking == "fisher" else args.batch_size
    gradients = md.measure_gradients(model, (data[0], data[1], size), args.batches)
    top_k = float(args.top_k) if "." in args.top_k else _whole("top_k", args.top_k)
    print(md.rank_layers(md.layer_specs(model), gradients, args.ranking, top_k))
    print("* = kept: channels are drawn from these layers.")


def _compare(args):
    base, data, loss = _load(args)
    table = _results("On the validation data")
    before = _accuracy(base, data[2], data[3], loss)
    table.add_row("before", f"{before:.4g}", "-", "-")
    for name in args.strategies.split(","):
        _, medyate, score = _train(base, data, args, name.strip(), loss, name)
        table.add_row(name, f"{score:.4g}", *_bytes(medyate))
    table.columns[1].header = _metric(loss)
    _out.print(table)


# --- parts


def _train(base, data, args, name: str, loss: str, text: str, calibration: Any = None):
    """Fine-tunes a copy of `base`; returns the prepared model, the callback and the score."""
    import keras
    import numpy as np

    import tf_medyate as md

    x, y, x_test, y_test = data
    keras.utils.set_random_seed(args.seed)
    model = md.prepare(base)
    metrics = ["accuracy"] if loss.endswith("crossentropy") else []
    model.compile(keras.optimizers.SGD(args.learning_rate), loss, metrics=metrics)
    unbudgeted = md.strategies.strategy(name).sampling in ("head", "full")
    budget = None if unbudgeted else args.budget
    medyate = md.MeDyate(budget, name, seed=args.seed, calibration=calibration, verbose=0)
    rates = keras.callbacks.LearningRateScheduler(
        lambda epoch: args.learning_rate * 0.5 * (1 + np.cos(np.pi * epoch / args.epochs))
    )
    callbacks = [medyate, rates, _progress(text, args.epochs)]
    model.fit(x, y, batch_size=args.batch_size, epochs=args.epochs, callbacks=callbacks, verbose=0)
    return model, medyate, _accuracy(model, x_test, y_test, loss)


def _progress(text: str, epochs: int):
    """A progress bar over all batches of a fit, with the loss."""
    import keras
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    class Bar(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.bar = Progress(
                TextColumn("{task.description:<12}"),
                BarColumn(),
                TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
                TextColumn("loss {task.fields[loss]:.4f}"),
                TimeRemainingColumn(),
                console=_out,
            )
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


def _accuracy(model: keras.Model, x, y, loss: str) -> float:
    """Accuracy in 0..1 for classifiers, else the mean squared error."""
    import numpy as np

    outputs = np.asarray(model.predict(x, batch_size=64, verbose="0"))
    if not loss.endswith("crossentropy"):
        return float(np.mean((outputs - y) ** 2))
    truth = y if loss.startswith("sparse") else y.argmax(-1)
    return float(np.mean(outputs.argmax(-1) == np.reshape(truth, outputs.shape[:-1])))


def _metric(loss: str) -> str:
    return "accuracy" if loss.endswith("crossentropy") else "mean squared error"


def _results(title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("strategy", "accuracy", "memory of the update", "share of full"):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    return table


def _bytes(medyate) -> tuple[str, str]:
    used = max(record.plan.used for record in medyate.report().epochs)
    full = medyate.cost.full(medyate.specs)
    return medyate.budget.format(used), f"{used / full:.1%}"


def _whole(argument: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        remedy = "Write 0.97 for a share of the score, or 8 for eight layers."
        raise OptionError(argument, "a number", repr(text), remedy) from None


def _load(args) -> tuple[keras.Model, tuple, str]:
    """Model, (x, y, x_val, y_val) and loss of the flags --model, --data and --loss."""
    import keras

    for flag in ("model", "data"):
        path = Path(getattr(args, flag))
        if not path.exists():
            raise OptionError(f"--{flag}", "an existing file", str(path), "Check the path.")
    try:
        base: Any = keras.models.load_model(args.model, compile=False)
    except (ValueError, OSError, TypeError) as error:
        remedy = "Save it with model.save('model.keras') in Keras 3."
        raise OptionError(
            "--model", "a Keras model file", f"{args.model} ({error})", remedy
        ) from None
    data = _read_npz(Path(args.data))
    return base, data, _loss(args.loss, data[1])


def _read_npz(path: Path) -> tuple[np.ndarray, ...]:
    import numpy as np

    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError) as error:
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


def _loss(name: str, y: np.ndarray) -> str:
    if name != "auto":
        return name
    if y.dtype.kind in "iu" and (y.ndim == 1 or y.shape[-1] == 1):
        return "sparse_categorical_crossentropy"
    one_hot = y.ndim == 2 and y.shape[1] > 1 and set(map(float, y.flat)) <= {0.0, 1.0}
    return "categorical_crossentropy" if one_hot else "mean_squared_error"


def _save_report(report, path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".html":
        report.save_html(path)
    elif path.suffix == ".json":
        path.write_text(report.to_json())
    elif path.suffix == ".txt":
        path.write_text(f"{report}\n")
    else:
        remedy = "Name it, for example, report.html."
        raise OptionError("--report", "a file ending in .html, .json or .txt", str(path), remedy)


if __name__ == "__main__":
    run()
