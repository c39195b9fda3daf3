"""`medyate demo`: a watch learns its wearer, in Keras and in the TFLM interpreter."""

from __future__ import annotations

from pathlib import Path

from tf_medyate import files
from tf_medyate.commands import common
from tf_medyate.commands.dataset import CLASSES, Dataset
from tf_medyate.commands.losses import score
from tf_medyate.commands.screen import out, results_table
from tf_medyate.commands.training import memory_cells, train

_LOSS = "sparse_categorical_crossentropy"
_BATCH = 8
_RATE = 0.05


def add(commands):
    """Adds the command."""
    text = "watch a model learn a person it never saw"
    parser = common.command(commands, "demo", run, text)
    parser.add_argument(
        "--wearer", type=common.within(0, 9), default=0, help="who is left out, 0 to 9"
    )
    parser.add_argument("--budget", default="8KiB", help="memory for the update")
    parser.add_argument("--epochs", type=common.count, default=15, help="epochs of fine-tuning")
    parser.add_argument("--seed", type=common.seed, default=0, help="seed of draws and shuffling")
    parser.add_argument("--out", default="out/demo", help="folder for report, pictures and export")


def run(args):
    """Shows it."""
    from tf_medyate.data import leave_one_out
    from tf_medyate.zoo.pretrain import pretrained_watch_cnn

    split = leave_one_out(args.wearer)
    folder = files.check_folder("--out", args.out)
    out.say(f"A watch learns its wearer - {split}", style="bold")
    with out.status("Training the watch net on the nine other wearers, once ..."):
        base = pretrained_watch_cnn(args.wearer)
    source = (split.source_x[::8], split.source_y[::8], 32)
    table = results_table("On recordings that this wearer made later")
    before = score(base, split.test_x, split.test_y, CLASSES)
    table.add_row("as shipped", f"{before:.1%}", "-", "-")
    tuned, medyate = _tune_in_keras(args, base, split, source, table)
    bundle = _export(tuned, medyate, folder / "tuned", split)
    _learn_in_tflm(args, base, split, source, folder / "device", table)
    out.print(table)
    out.say(bundle)
    report = medyate.report()
    page = report.save_html(folder / "report.html")
    report.save_png(folder)
    out.say(f"What was drawn, and why: {page} (and PNG files beside it)", style="bold")


def _tune_in_keras(args, base, split, source, table):
    """Head, MeDyate and full; returns what MeDyate made."""
    data = Dataset(split.adapt_x, split.adapt_y, split.test_x, split.test_y, CLASSES)
    out.say("Fine-tuning on the wearer's first recordings in Keras, three ways:")
    args.batch_size, args.learning_rate = _BATCH, _RATE
    made = {}
    for name, text in (("head", "head only"), ("medyate", "MeDyate"), ("full", "full")):
        model, medyate, after = train(base, data, _LOSS, args, name, text, source)
        table.add_row(text, f"{after:.1%}", *memory_cells(medyate))
        made[name] = model, medyate
    return made["medyate"]


def _export(model, medyate, folder: Path, split):
    import tf_medyate as md

    out.say("Exporting the tuned model for TensorFlow Lite Micro ...")
    return md.export(model, folder, medyate, representative_data=split.adapt_x[:100])


def _learn_in_tflm(args, base, split, source, folder: Path, table):
    """The untuned model, personalised by the TFLM interpreter sample by sample."""
    import keras

    import tf_medyate as md
    from tf_medyate.commands.export import save_memory_map
    from tf_medyate.commands.learning import learn
    from tf_medyate.commands.simulate import falling

    model = md.prepare(base)
    model.compile(keras.optimizers.SGD(_RATE / _BATCH), _LOSS)
    medyate = md.MeDyate(args.budget, seed=args.seed, calibration=source, verbose=0)
    medyate.set_model(model)
    bundle = md.export(model, folder, medyate)
    rate = falling(_RATE / _BATCH, len(split.adapt_x), args.epochs)
    trainer = md.simulate.TFLMTrainer(bundle, rate)
    out.say("The untuned model in the TFLM interpreter, sample by sample:")
    learn(trainer, split.adapt_x, split.adapt_y, args.epochs, args.seed, "TFLM")
    accuracy = trainer.accuracy(split.test_x, split.test_y)
    pool = bundle.manifest.memory.pool_bytes
    full = medyate.cost.full(medyate.specs)
    budget = medyate.budget.format(pool)
    table.add_row("MeDyate in TFLM", f"{accuracy:.1%}", budget, f"{pool / full:.1%}")
    arena = trainer.arena_bytes
    out.say(
        f"TFLM's whole arena: {medyate.budget.format(arena)}, the pool included. "
        f"Where everything lies in it: {save_memory_map(bundle)}"
    )
