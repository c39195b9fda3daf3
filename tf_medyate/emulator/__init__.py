"""A board for people without one: the firmware on an emulated Cortex-M4F, its flash in a file.

Example:
    >>> image = build_image("out/", "out/emulator")
    >>> with EmulatedBoard("flash.bin") as board:
    ...     board.flash(image)
    ...     board.start()
    ...     with md.device.DeviceClient.open(board.port) as client:
    ...         client.step(x[0], y[0])

    toolchain  the programs that are needed, and what to do where they are missing
    image      an export's C++ and the firmware -> what lies in flash
    board      the emulator: flash, power on, power cut, measurements
"""

from tf_medyate.emulator.board import EmulatedBoard, Measurement
from tf_medyate.emulator.image import Image, ImageSizes, build_image
from tf_medyate.emulator.toolchain import EmulatorError, missing_programs

__all__ = [
    "EmulatedBoard",
    "EmulatorError",
    "Image",
    "ImageSizes",
    "Measurement",
    "build_image",
    "missing_programs",
]
