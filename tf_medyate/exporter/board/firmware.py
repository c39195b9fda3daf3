"""What a board needs: the model in C++, the layout of its weights, libraries; and whether it fits.

Example:
    >>> options = md.FirmwareOptions(arduino=True, class_names=["sit", "walk", "run"])
    >>> bundle = md.export(model, "out/", medyate, firmware=options)
    >>> print(bundle.firmware)
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from tf_medyate.boards.board import Board
from tf_medyate.boards.registry import get_board
from tf_medyate.device_key import KEY_HEADER, read_key, write_key_header
from tf_medyate.errors import OptionError
from tf_medyate.exporter.board.cycles import step_cycles
from tf_medyate.exporter.board.estimate import BoardEstimate, FlashLife, estimate, flash_life
from tf_medyate.exporter.board.fit import BoardError, BoardFit, check_fit, code_bytes
from tf_medyate.exporter.board.journal import (
    FITTING,
    check_journal,
    journal_pages,
    with_journal,
)
from tf_medyate.exporter.lower.step import TrainingGraph
from tf_medyate.exporter.manifest import Manifest
from tf_medyate.exporter.memory.planner import MemoryPlan
from tf_medyate.exporter.write import arduino as arduino_export
from tf_medyate.exporter.write import tflm_library
from tf_medyate.exporter.write.arduino_library import check_library, is_of_library
from tf_medyate.exporter.write.cpp import (
    CppModel,
    CppSources,
    builtin_ops,
    cpp_sizes,
    cpp_sources,
)
from tf_medyate.exporter.write.cpp_model import DeviceParts
from tf_medyate.exporter.write.cpp_text import HEADER_FILE, MODEL_FILE, WEIGHTS_FILE
from tf_medyate.exporter.write.region import LAYOUT_FILE, RegionLayout, write_layout
from tf_medyate.spec import FLASH_PAGE_BYTES, format_bytes

CPP_FOLDER = "cpp"
ARDUINO_FOLDER = "arduino"
TFLM_FOLDER = "tflm"


@dataclasses.dataclass(frozen=True)
class FirmwareOptions:
    """What to write for a board.

    Attributes:
        arduino: Write an Arduino library.
        tflm: Write a library of ops for TensorFlow Lite Micro's resolver.
        class_names: Names of the classes in the order of their labels, spare ones left out; empty:
            they are called by number.
        spare_classes: How many of the model's last outputs `add_spare_classes` made.
        factory_copy: A second copy of the trained weights in flash, so that the board can forget
            what it learned without a host.
        journal: What commits go through: "pages" holds images of all trained pages, "runs" the
            weights that a draw changed. That is smaller; it takes no push of all weights, and the
            flash lasts for fewer commits. "fitting": pages where they fit the board.
        board: What it shall fit: a name of `tf_medyate.boards.registry.BOARDS`, a `Board`, or None
            for any other board.
        device_key: A file of 32 secret bytes. The firmware then takes pushes, resets and new
            classes only from a host that has it, see docs/security.md; empty: from anybody.
        rate_hz, input_offset, input_scale: How a sensor's readings become the model's input, for
            the library's example; as `SensorInput`.
        samples_per_epoch, commits_per_day: For the estimates of time, energy and wear.
    """

    arduino: bool = False
    tflm: bool = False
    class_names: Sequence[str] = ()
    spare_classes: int = 0
    factory_copy: bool = True
    journal: str = FITTING
    board: Board | str | None = "nano33ble"
    device_key: str | os.PathLike = ""
    rate_hz: float = arduino_export.DEFAULT_RATE_HZ
    input_offset: Sequence[float] = ()
    input_scale: Sequence[float] = ()
    samples_per_epoch: int = 100
    commits_per_day: float = 24.0

    def __post_init__(self):
        check_journal(self.journal)
        if self.samples_per_epoch < 1 or not self.commits_per_day > 0:
            received = f"{self.samples_per_epoch}, {self.commits_per_day}"
            names = "samples_per_epoch, commits_per_day"
            raise OptionError(names, "numbers above 0", received, "They are for estimates alone.")


@dataclasses.dataclass(frozen=True)
class Firmware:
    """What was written for a board.

    Attributes:
        cpp: The model in C++; None if it has built-in ops of TFLM.
        layout: What lies where in its weights region; None likewise.
        fit: What it takes of the board; None without a board.
        time: Time and energy on that board, estimated.
        life: How long its flash lasts.
        libraries: The Arduino and TFLM libraries that were asked for.
        note: What the fit leaves out.
    """

    cpp: CppModel | None
    layout: RegionLayout | None
    fit: BoardFit | None
    time: BoardEstimate | None
    life: FlashLife | None
    libraries: tuple[arduino_export.ArduinoLibrary | tflm_library.TflmLibrary, ...]
    note: str = ""

    def __str__(self) -> str:
        parts = [self.cpp, *self.libraries, self.fit, self.note, self.time, self.life]
        return "\n".join(f"  {line}" for part in parts if part for line in str(part).splitlines())


@dataclasses.dataclass(frozen=True)
class FirmwarePlan:
    """What is to be written for a board, checked; nothing is written yet.

    Attributes:
        options: What was asked for.
        sources: The model in C++; None if it has ops of TFLM: then there is the library alone.
        fit, time, life: As `Firmware`.
        key: The board's secret; never printed.
        home: The bundle's folder.
    """

    options: FirmwareOptions
    sources: CppSources | None
    fit: BoardFit | None
    time: BoardEstimate | None
    life: FlashLife | None
    key: bytes | None = dataclasses.field(default=None, repr=False)
    home: pathlib.Path = pathlib.Path()

    def write(self, manifest: Manifest, folder: pathlib.Path) -> Firmware:
        """Writes cpp/, weights.json, weights.bin and the libraries into a draft of the bundle."""
        if self.sources is None:
            return Firmware(None, None, None, None, None, (self._tflm(folder),), _TFLM_ALONE)
        cpp = self.sources.write(folder / CPP_FOLDER)
        layout = RegionLayout.of(cpp, manifest.layers)
        write_layout(layout, cpp.region, folder / LAYOUT_FILE)
        libraries, note = [], ""
        if self.key:
            write_key_header(self.key, folder / CPP_FOLDER)
        if self.options.arduino:
            sensor = _sensor(self.options, manifest.input_shape)
            target = folder / ARDUINO_FOLDER / arduino_export.LIBRARY
            library = arduino_export.write_arduino(folder / CPP_FOLDER, target, sensor)
            libraries.append(self._at_home(library, folder))
            notes = []
            if self.key:
                write_key_header(self.key, target / "examples" / arduino_export.STREAM_EXAMPLE)
            if sensor.is_imu:
                windows = format_bytes(sensor.imu_windows_bytes(manifest.sample.number_bytes))
                notes = [f"the example {arduino_export.IMU_EXAMPLE} takes {windows} of RAM besides"]
            if sensor.is_raw:
                notes.append(
                    "readings reach the model as they are: if its training data were normalized, "
                    "say how by input_offset and input_scale"
                )
            note = "\n".join(notes)
        if self.options.tflm:
            libraries.append(self._tflm(folder))
        return Firmware(cpp, layout, self.fit, self.time, self.life, tuple(libraries), note)

    def _tflm(self, folder: pathlib.Path) -> tflm_library.TflmLibrary:
        target = folder / TFLM_FOLDER / tflm_library.LIBRARY
        return self._at_home(tflm_library.write_tflm_library(folder, target), folder)

    def _at_home(self, library: Any, draft: pathlib.Path) -> Any:
        """A library as it will lie in the bundle."""
        home = self.home / library.folder.relative_to(draft)
        return dataclasses.replace(library, folder=home)


_TFLM_ALONE = "nothing is written for a board without TFLM: the model has built-in ops of it"


def is_firmware(place: pathlib.PurePath) -> bool:
    """Whether a path in a bundle's folder is of what `FirmwarePlan.write` writes."""
    library = {ARDUINO_FOLDER: arduino_export, TFLM_FOLDER: tflm_library}.get(place.parts[0])
    if library is not None:
        inner = place.parts[1:]
        return inner[:1] == (library.LIBRARY,) and is_of_library(inner[1:], library.EXAMPLES)
    layout = pathlib.PurePath(LAYOUT_FILE)
    cpp = pathlib.PurePath(CPP_FOLDER)
    ours = [layout, layout.with_suffix(".bin")]
    names = (HEADER_FILE, MODEL_FILE, WEIGHTS_FILE, KEY_HEADER)
    return place in [*ours, *(cpp / name for name in names)]


def plan_firmware(
    training: TrainingGraph,
    memory: MemoryPlan,
    input_shape: Sequence[int],
    folder: pathlib.Path,
    options: FirmwareOptions,
) -> FirmwarePlan:
    """Finds out what will be written for a board, and whether it fits.

    Raises:
        OptionError: Class names or sensor do not fit the model; its learning rate's schedule has no
            twin on the device; there is no key.
        BoardError: The model does not fit the board.
        UnsupportedLayerError: The model has built-in ops of TFLM, and more than its library is
            asked for.
        OptionError: Another library lies where one is to be written.
    """
    parts = DeviceParts(tuple(options.class_names), options.spare_classes, options.factory_copy)
    if options.tflm and not options.arduino and builtin_ops(training.graph):
        check_library(folder / TFLM_FOLDER / tflm_library.LIBRARY, tflm_library.LIBRARY)
        return FirmwarePlan(options, None, None, None, None, home=folder)
    board = get_board(options.board) if isinstance(options.board, str) else options.board
    sizes = cpp_sizes(training, memory, options.factory_copy)
    sizes = with_journal(sizes, options.journal, training, lambda cpp: _has_flash(board, cpp))
    parts = dataclasses.replace(parts, run_pages=sizes.run_pages)
    sources = cpp_sources(training, memory, folder / CPP_FOLDER, parts)
    if options.arduino:
        _sensor(options, input_shape)
        check_library(folder / ARDUINO_FOLDER / arduino_export.LIBRARY, arduino_export.LIBRARY)
    if options.tflm:
        check_library(folder / TFLM_FOLDER / tflm_library.LIBRARY, tflm_library.LIBRARY)
    key = read_key(options.device_key) if options.device_key else None
    if board is None:
        return FirmwarePlan(options, sources, None, None, None, key, folder)
    model = sources.model
    fit = fit_of(board, model)
    life = flash_life(
        board,
        model.weight_pages,
        options.commits_per_day,
        model.importance_floats,
        run_pages=model.run_pages,
    )
    cycles = step_cycles(training.graph)
    time = estimate(board, cycles, options.samples_per_epoch, life.commit_s)
    return FirmwarePlan(options, sources, fit, time, life, key, folder)


def _sensor(options: FirmwareOptions, shape: Sequence[int]) -> arduino_export.SensorInput:
    return arduino_export.SensorInput(
        shape, options.rate_hz, options.input_offset, options.input_scale
    )


def fit_of(board: Board, cpp: CppModel) -> BoardFit:
    """What a model takes of a board.

    Raises:
        BoardError: It does not fit.
    """
    weights = cpp.weight_pages * FLASH_PAGE_BYTES
    return check_fit(
        board,
        arena_bytes=cpp.board_arena_bytes,
        weights_bytes=weights,
        factory_bytes=weights if cpp.factory_copy else 0,
        constants_bytes=cpp.constant_bytes,
        code_bytes=code_bytes(cpp.kinds),
        journal_bytes=FLASH_PAGE_BYTES
        * journal_pages(cpp.weight_pages, cpp.importance_pages, cpp.run_pages),
    )


def _has_flash(board: Board | None, cpp: CppModel) -> bool:
    try:
        return board is None or bool(fit_of(board, cpp))
    except BoardError as error:
        return all(name != "flash" for name, _, _ in error.fit.excess())
