"""`medyate simulate`: an exported folder learns in the official TFLM interpreter, here."""

from __future__ import annotations

from pathlib import Path

from tf_medyate.commands import common
from tf_medyate.commands.class_names import names_beside
from tf_medyate.commands.dataset import BINARY, CLASSES, TARGETS, read_data
from tf_medyate.commands.learning import learn, measure
from tf_medyate.commands.screen import metric, out, score_text
from tf_medyate.errors import OptionError
from tf_medyate.falling_rate import cosine

_EXAMPLES = ("simulate --bundle out --data data.npz --epochs 10 --cosine",)


def add(commands):
    """Adds the command."""
    text = "let the TFLM interpreter train an exported folder, sample by sample"
    parser = common.command(commands, "simulate", run, text, _EXAMPLES)
    parser.add_argument("--bundle", required=True, help="a folder that medyate export wrote")
    common.data_flag(parser)
    parser.add_argument("--epochs", type=common.count, default=5, help="passes over the data")
    parser.add_argument(
        "--learning_rate", type=common.positive, help="of SGD; none: what the folder says"
    )
    parser.add_argument(
        "--cosine", action="store_true", help="let the learning rate fall along a cosine"
    )
    parser.add_argument("--seed", type=common.seed, default=0, help="seed of the shuffling")


def run(args):
    """Simulates."""
    from tf_medyate import simulate
    from tf_medyate.exporter.manifest import KERAS_FILE, PLAN_FILE, read_manifest

    manifest = read_manifest(Path(args.bundle) / PLAN_FILE)
    if manifest.outputs:
        remedy = "Train it with md.simulate.TFLMTrainer in Python."
        received = f"{len(manifest.outputs)} outputs"
        raise OptionError("--bundle", "a model with one output", received, remedy)
    kind = BINARY if manifest.takes_shares else CLASSES if manifest.takes_class else TARGETS
    inputs, outputs = tuple(manifest.input_shape), tuple(manifest.output_shape)
    names = names_beside(Path(args.bundle) / KERAS_FILE)
    data = read_data(args.data, inputs, outputs, kind, names)
    common.say_what_was_read(data, args.data)
    rate = args.learning_rate
    if args.cosine:
        rate = manifest.optimizer.learning_rate if rate is None else rate
        if isinstance(rate, dict):
            remedy = "Leave --cosine out: the folder has a schedule of its own."
            raise OptionError("--cosine", "a learning rate that is a number", "a schedule", remedy)
        batch = manifest.optimizer.batch_size
        rate = falling(rate, -(-len(data.x) // batch) * batch, args.epochs)
    trainer = simulate.TFLMTrainer(args.bundle, rate)
    half = 0.5 if manifest.ends_in else 0.0
    before = measure(trainer, data, half)
    learn(trainer, data.x, data.y, args.epochs, args.seed, "in TFLM")
    texts = (score_text(value, kind) for value in (before, measure(trainer, data, half)))
    out.say("{} on the validation data: {} before, {} after.".format(metric(kind), *texts))
    out.say(f"{trainer.arena}, of it the pool {trainer.manifest.memory.pool_bytes:,}.")
    out.say(f"Channels trained last: {trainer.plan}")


def falling(rate: float, samples: int, epochs: int):
    """A learning rate that falls along a cosine, epoch by epoch, by samples learned from."""
    return lambda step: cosine(rate, min(step // samples, epochs - 1) / epochs)
