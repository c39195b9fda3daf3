"""`medyate export`: a .keras file becomes a folder that a microcontroller can learn from."""

from __future__ import annotations

from tf_medyate.commands import common
from tf_medyate.errors import OptionError


def add(commands):
    """Adds the command."""
    text = "export a .keras file as a .tflite that trains, for TensorFlow Lite Micro"
    parser = common.command(
        commands,
        "export",
        run,
        text,
        "The data calibrate which layers and channels matter, and the int8 model's ranges.\n"
        "Try the result with: medyate simulate --bundle OUT --data d.npz\n\n"
        + common.preset_list(),
    )
    common.data_flags(parser)
    parser.add_argument("--out", default="out", help="folder to write to")
    parser.add_argument("--budget", default="64KiB", help="bytes of the pool, or elements")
    parser.add_argument("--arena_limit", default="", help='largest arena, as "128KiB"; none: any')
    parser.add_argument("--strategy", default="medyate", help="how to choose channels, see below")
    parser.add_argument("--learning_rate", type=float, default=0.01, help="of SGD")
    parser.add_argument("--momentum", type=float, default=0.0, help="of SGD; doubles the weights")
    parser.add_argument(
        "--batch_size", type=int, default=1, help="samples whose gradients make one step"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    parser.add_argument(
        "--int8", action="store_true", help="write the int8 model for inference, too"
    )


def run(args):
    """Exports."""
    import keras

    import tf_medyate as md

    base, data, loss = common.load(args)
    model = md.prepare(base)
    if args.batch_size < 1:
        raise OptionError("--batch_size", "1 or more", str(args.batch_size), "Choose 1.")
    optimizer = keras.optimizers.SGD(
        args.learning_rate,
        momentum=args.momentum,
        gradient_accumulation_steps=args.batch_size if args.batch_size > 1 else None,
    )
    model.compile(optimizer, keras_loss(loss, model))
    unbudgeted = md.strategies.strategy(args.strategy).sampling in ("head", "full")
    budget = None if unbudgeted else args.budget
    calibration = (data[0], data[1])
    medyate = md.MeDyate(budget, args.strategy, seed=args.seed, calibration=calibration)
    medyate.set_model(model)
    samples = data[0][:200] if args.int8 else None
    limit = args.arena_limit or None
    bundle = md.export(model, args.out, medyate, limit, samples)
    print(bundle)
    common.out.print(f"Where everything lies in the arena: [bold]{save_memory_map(bundle)}[/]")


def save_memory_map(bundle):
    """Draws the arena of an export beside it; returns the picture's path."""
    from tf_medyate.report.memory_map import memory_map

    path = bundle.folder / "memory.png"
    path.write_bytes(memory_map(bundle.manifest).png())
    return path


def keras_loss(name: str, model):
    """The loss by name; a cross-entropy of logits if the model does not end in a softmax."""
    import keras

    if not name.endswith("crossentropy"):
        return name
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    softmax = isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax
    loss = keras.losses.get(name)
    kind = {
        "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
        "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    }.get(name)
    return kind(from_logits=not softmax) if kind else loss
