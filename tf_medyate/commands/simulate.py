"""`medyate simulate`: an exported folder learns in the official TFLM interpreter, here."""

from __future__ import annotations

from tf_medyate.commands import common
from tf_medyate.errors import OptionError


def add(commands):
    """Adds the command."""
    text = "let the TFLM interpreter train an exported folder, sample by sample"
    parser = common.command(commands, "simulate", run, text)
    parser.add_argument("--bundle", required=True, help="a folder that medyate export wrote")
    parser.add_argument(
        "--data", required=True, help=".npz with x, y (class numbers or targets) and perhaps x_val"
    )
    parser.add_argument("--epochs", type=int, default=5, help="passes over the data")
    parser.add_argument(
        "--learning_rate", type=float, default=None, help="of SGD; none: what the folder says"
    )
    parser.add_argument(
        "--cosine", action="store_true", help="let the learning rate fall along a cosine"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the shuffling")


def run(args):
    """Simulates."""
    from tf_medyate import simulate

    x, y, x_val, y_val = common.read_npz(args.data)
    y, y_val = _class_numbers(y), _class_numbers(y_val)
    rate = args.learning_rate
    trainer = simulate.TFLMTrainer(args.bundle, rate)
    if args.cosine:
        if rate is None:
            rate = trainer.manifest.optimizer.learning_rate
        if isinstance(rate, dict):
            remedy = "Leave --cosine out: the folder has a schedule of its own."
            raise OptionError("--cosine", "a learning rate that is a number", "a schedule", remedy)
        trainer = simulate.TFLMTrainer(args.bundle, falling(rate, len(x), args.epochs))
    classifies = y.ndim == 1
    before = measure(trainer, x_val, y_val, classifies)
    learn(trainer, x, y, args.epochs, args.seed, "in TFLM")
    after = measure(trainer, x_val, y_val, classifies)
    metric = "accuracy" if classifies else "mean squared error"
    common.out.print(f"{metric} on the validation data: {before:.4g} before, {after:.4g} after.")
    common.out.print(f"{trainer.arena}, of it the pool {trainer.manifest.memory.pool_bytes:,}.")
    common.out.print(f"Channels trained last: {trainer.plan}")


def falling(rate: float, samples: int, epochs: int):
    """A learning rate that falls along a cosine, epoch by epoch, by samples learned from."""
    return lambda step: common.cosine(rate, min(step // samples, epochs - 1), epochs)


def learn(trainer, x, y, epochs: int, seed: int, text: str):
    """Trains epoch after epoch in shuffled order, with a progress bar."""
    import numpy as np

    rng = np.random.default_rng(seed)
    with common.epoch_progress(epochs) as bar:
        task = bar.add_task(text, total=len(x) * epochs, epoch=1, loss=float("nan"))
        for epoch in range(epochs):
            bar.update(task, epoch=epoch + 1)
            for index in rng.permutation(len(x)):
                bar.update(task, advance=1, loss=trainer.step(x[index], y[index]))
            trainer.end_epoch()


def measure(trainer, x, y, classifies: bool) -> float:
    """Accuracy in 0..1 for class numbers, else the mean squared error."""
    import numpy as np

    if classifies:
        return trainer.accuracy(x, y)
    outputs = np.array([trainer.predict(sample) for sample in x])
    return float(np.mean((outputs - y.reshape(outputs.shape)) ** 2))


def _class_numbers(y):
    """One-hot rows as class numbers, all else as it is."""
    one_hot = common.loss_name("auto", y) == "categorical_crossentropy"
    if one_hot:
        return y.argmax(-1)
    return y.reshape(-1) if y.dtype.kind in "iu" else y
