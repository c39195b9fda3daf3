"""What the tests of the emulated board share."""

import dataclasses
import pathlib

import numpy as np
from cases import make_case
from cpp_build import CORTEX_M4F
from cpp_training import Exported, export_both

import tf_medyate as md
from tf_medyate.device import DeviceClient, Region
from tf_medyate.emulator import EmulatedBoard, Image, build_image


@dataclasses.dataclass(frozen=True)
class Firmware:
    """A case, its bundle, and the image with it."""

    exported: Exported
    bundle: pathlib.Path
    image: Image


def make_firmware(folder: pathlib.Path, net: str, **options) -> Firmware:
    """Exports a case of test_simulate_trainer and builds its image; skips without a toolchain."""
    CORTEX_M4F.require()
    case = make_case(net, **options)
    exported = export_both(case, folder)
    md.export(case.model, folder / "bundle", case.medyate, firmware=md.FirmwareOptions())
    image = build_image(folder / "bundle", folder / "image")
    return Firmware(exported, folder / "bundle", image)


def region(client: DeviceClient) -> np.ndarray:
    """The weights region as it was last committed."""
    return np.frombuffer(client.pull(Region.WEIGHTS), "<f4")


def running(firmware: Firmware, folder: pathlib.Path, **options) -> EmulatedBoard:
    """A board with this firmware, switched on; the caller closes it."""
    board = EmulatedBoard(folder / "flash.bin", **options)
    board.flash(firmware.image)
    board.start()
    return board
