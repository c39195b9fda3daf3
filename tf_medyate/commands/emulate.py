"""`medyate emulate`: a board for people without one."""

from __future__ import annotations

from pathlib import Path

from tf_medyate.commands import common
from tf_medyate.commands.screen import out

_EXAMPLES = (
    "export --model base.keras --data data.npz --cpp --out out",
    "emulate out --port 5555",
    "device --port tcp:localhost:5555 train data.npz       # in another terminal",
)


def add(commands):
    """Adds the command."""
    text = "run an export on an emulated board, with a serial line for medyate device"
    parser = common.command(commands, "emulate", run, text, _EXAMPLES)
    parser.add_argument("export", help="a folder that medyate export --cpp wrote")
    parser.add_argument("--flash", default="flash.bin", help="file with the board's flash")
    parser.add_argument(
        "--port", type=common.within(0, 65535), default=5555, help="TCP port of the serial line"
    )
    parser.add_argument(
        "--image", default="", help="folder for the firmware; none: emulator/ in the export"
    )
    parser.add_argument(
        "--reflash", action="store_true", help="flash it again: what was learned is gone"
    )
    parser.add_argument(
        "--count_instructions",
        action="store_true",
        help="let time go by instructions: the same in every run, but slower",
    )


def run(args):
    """Runs the board until Ctrl-C."""
    from tf_medyate.emulator import EmulatedBoard, build_image

    out.say("Building the firmware ...")
    image = build_image(args.export, args.image or Path(args.export) / "emulator")
    out.say(image.sizes)
    options = {"count_instructions": args.count_instructions}
    with EmulatedBoard(args.flash, args.port, **options) as board:
        if args.reflash or not board.holds(image):
            board.flash(image)
            out.say(f"Flashed {args.flash}.")
        board.start()
        out.say(f"The board runs; Ctrl-C cuts its power. Its flash is {args.flash}. Try:")
        out.say(f"  medyate device --port {board.port} status")
        try:
            board.wait()
        except KeyboardInterrupt:
            out.say("Power off.")
