"""`medyate export`: a .keras file becomes a folder that a microcontroller can learn from."""

from __future__ import annotations

import dataclasses

from tf_medyate import files
from tf_medyate.boards.registry import BOARDS
from tf_medyate.commands import common
from tf_medyate.commands.class_names import save_names
from tf_medyate.commands.screen import out
from tf_medyate.errors import OptionError

_EXAMPLES = (
    "export --model base.keras --data data.npz --budget 8KiB --out out",
    "export --model base.keras --data data.npz --arduino --spare_classes 2 --out out",
    "simulate --bundle out --data data.npz                 # what a board would learn",
)


def add(commands):
    """Adds the command."""
    text = "export a .keras file as a .tflite that trains, for TensorFlow Lite Micro"
    parser = common.command(
        commands,
        "export",
        run,
        text,
        _EXAMPLES,
        "The data say which layers matter, for some strategies which channels, and the ranges of\n"
        "int8.\n\n" + common.preset_list(),
    )
    common.data_flags(parser)
    parser.add_argument("--out", default="out", help="folder to write to")
    parser.add_argument("--budget", default="64KiB", help="bytes of the pool, or elements")
    parser.add_argument("--strategy", default="medyate", help="how to choose channels, see below")
    common.ranking_flag(parser)
    parser.add_argument("--learning_rate", type=common.positive, default=0.01, help="of SGD")
    parser.add_argument(
        "--momentum",
        type=common.within(0, 1, float),
        default=0.0,
        help="of SGD; doubles what weights take",
    )
    parser.add_argument(
        "--batch_size", type=common.count, default=1, help="samples whose gradients make one step"
    )
    parser.add_argument("--seed", type=common.seed, default=0, help="seed of the draws")
    parser.add_argument(
        "--int8", action="store_true", help="write the int8 model for inference, too"
    )
    parser.add_argument(
        "--frozen",
        choices=("float32", "int8"),
        default="float32",
        help="int8: layers in front of everything that is trained are computed on int8 values, "
        "other frozen ones have int8 weights",
    )
    common.fitting_flags(parser, board=False)
    _firmware_flags(parser)


def _firmware_flags(parser):
    group = parser.add_argument_group("for a board without TFLM")
    group.add_argument("--cpp", action="store_true", help="write the training step as C++")
    group.add_argument(
        "--arduino", action="store_true", help="write an Arduino library for the Nano 33 BLE"
    )
    group.add_argument(
        "--tflm", action="store_true", help="write our ops for TFLM's resolver, with the graph"
    )
    group.add_argument(
        "--board",
        default="nano33ble",
        choices=[*sorted(BOARDS), "any"],
        help="what it shall fit: the best layers that do are kept",
    )
    group.add_argument("--class_names", default="", help="as in sit,walk,run; by label")
    group.add_argument(
        "--spare_classes",
        type=common.within(0),
        default=0,
        help="classes that the board may add to the head",
    )
    group.add_argument(
        "--no_factory_copy",
        action="store_true",
        help="save flash: the board cannot forget by itself what it learned",
    )
    group.add_argument(
        "--journal",
        default="fitting",
        choices=("fitting", "pages", "runs"),
        help="what commits go through: images of all trained pages, or runs of what changed, which "
        "is smaller, takes no push of all weights and wears the flash more; fitting: pages where "
        "they fit",
    )
    group.add_argument(
        "--device_key",
        default="",
        metavar="FILE",
        help="32 secret bytes: the board takes push, reset and new classes only from their owner",
    )
    group.add_argument(
        "--rate_hz",
        type=common.positive,
        default=50.0,
        help="readings a second, for the motion example",
    )
    numbers = "one number a channel, as in 0,0,9.8, for the motion example: input = (reading - "
    group.add_argument("--input_offset", default="", help=f"{numbers}offset) * scale")
    group.add_argument("--input_scale", default="", help="the same for the scale")
    group.add_argument(
        "--samples_per_epoch",
        type=common.count,
        default=100,
        help="for the estimates of time and energy",
    )
    group.add_argument(
        "--commits_per_day",
        type=common.positive,
        default=24.0,
        help="for the estimate of the flash's life",
    )


def _firmware_options(args, class_names):
    import tf_medyate as md

    if not (args.cpp or args.arduino or args.tflm):
        if args.spare_classes or args.class_names or args.device_key:
            remedy = "Add --cpp or --arduino, or leave them out."
            flags = "--class_names, --spare_classes, --device_key"
            raise OptionError(flags, "a board to write for", "none", remedy)
        return None
    return md.FirmwareOptions(
        arduino=args.arduino,
        tflm=args.tflm,
        board=None if args.board == "any" else args.board,
        samples_per_epoch=args.samples_per_epoch,
        commits_per_day=args.commits_per_day,
        class_names=tuple(name.strip() for name in class_names),
        spare_classes=args.spare_classes,
        factory_copy=not args.no_factory_copy,
        journal=args.journal,
        device_key=args.device_key,
        rate_hz=args.rate_hz,
        input_offset=_numbers("--input_offset", args.input_offset),
        input_scale=_numbers("--input_scale", args.input_scale),
    )


def _numbers(flag: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(",") if number)
    except ValueError:
        raise OptionError(flag, "numbers with commas", repr(text), "Write 0,0,9.8.") from None


def run(args):
    """Exports."""
    import keras

    import tf_medyate as md
    from tf_medyate.exporter.manifest import KERAS_FILE

    files.check_folder("--out", args.out)
    firmware = _firmware_options(args, args.class_names.split(",") if args.class_names else ())
    base, data, loss = common.load(args)
    if firmware and not firmware.class_names and len(data.names) == base.output_shape[-1]:
        firmware = dataclasses.replace(firmware, class_names=data.names)
    if args.spare_classes:
        base = md.add_spare_classes(base, args.spare_classes)
    model = md.prepare(base)
    optimizer = keras.optimizers.SGD(
        args.learning_rate,
        momentum=args.momentum,
        gradient_accumulation_steps=args.batch_size if args.batch_size > 1 else None,
    )
    model.compile(optimizer, loss)
    budget = args.budget if md.strategy(args.strategy).needs_budget else None
    calibration = (data.x, data.y)
    options = {"seed": args.seed, "calibration": calibration, "ranking": args.ranking}
    samples = data.x[:200] if args.int8 or args.frozen == "int8" else None
    layers = _layers(args, firmware, samples) if budget else None
    medyate = md.MeDyate(budget, args.strategy, layers=layers, **options)
    medyate.set_model(model)
    limit = args.arena_limit or None
    bundle = md.export(model, args.out, medyate, limit, samples, firmware, frozen=args.frozen)
    save_names(bundle.folder / KERAS_FILE, firmware.class_names if firmware else data.names)
    out.say(bundle)
    out.say(f"Where everything lies in the arena: {save_memory_map(bundle)}", style="bold")


def _layers(args, firmware, samples):
    """The layers to draw from: those that fit, if there is anything to fit."""
    from tf_medyate.select.strategies import strategy

    if strategy(args.strategy).takes_scheme:
        return None
    board = firmware.board if firmware and firmware.board else ""
    copy = firmware is None or firmware.factory_copy
    options = {"frozen": args.frozen, "representative_data": samples, "factory_copy": copy}
    options["journal"] = args.journal
    return common.layers_that_fit(args, board, **options)


def save_memory_map(bundle):
    """Draws the arena of an export beside it; returns the picture's path."""
    from tf_medyate.exporter.write.memory_map import memory_map

    path = bundle.folder / "memory.png"
    files.write_bytes(path, memory_map(bundle.manifest).png())
    return path
