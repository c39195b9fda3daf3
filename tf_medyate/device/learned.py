"""What a board has learned, between board and host: weights over the line, sparse deltas in files.

A board sends and receives its weights region whole; the delta against the factory weights of the
export is worked out here.

Example:
    >>> exported = read_export("out/")
    >>> learned = pull_learned(board, exported)
    >>> print(learned.delta)
    sparse delta of model 00c0ffee00c0ffee: 1,204 of 19,456 weights in 37 runs
    >>> push_learned(another_board, exported, learned)
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping

import numpy as np

from tf_medyate.device.client import DeviceClient
from tf_medyate.device.delta import DeltaError, DeltaKind, SparseDelta, encode_delta
from tf_medyate.device.exported import Exported
from tf_medyate.device.link import DeviceError
from tf_medyate.device.names import names_text
from tf_medyate.device.protocol import DeviceStatus, Region

Progress = Callable[[int, int], object]
_LEAST_BIAS = -100.0
"""A spare class has a bias of -10,000, or on its way to 0 from there by weight decay; that of a
class in use comes nowhere near the limit."""


@dataclasses.dataclass(frozen=True)
class Learned:
    """What a board has learned since it left the factory.

    Attributes:
        delta: Its weights.
        names: Label -> name, of all classes that have one.
    """

    delta: SparseDelta
    names: Mapping[int, str] = dataclasses.field(default_factory=dict)


def pull_learned(
    board: DeviceClient,
    exported: Exported,
    kind: DeltaKind = DeltaKind.VALUES,
    progress: Progress | None = None,
) -> Learned:
    """Fetches what was committed on a board.

    Names that cannot be read are left out, with a warning.

    Raises:
        DeltaError: The board runs another model than the export's, or has NaN among its weights.
        DeviceError, LinkError: As `DeviceClient.pull`.
    """
    _check_model(board, exported)
    data = board.pull(Region.WEIGHTS, progress)
    weights = np.frombuffer(data, "<f4").astype(np.float32)
    if not np.isfinite(weights).all():
        remedy = "The board's weights are ruined: reset it, or push what was pulled before."
        raise DeltaError("weights", "finite weights", "NaN or infinity", remedy)
    delta = encode_delta(exported.factory, weights, exported.layout.model_hash, kind)
    try:
        return Learned(delta, board.names())
    except DeltaError as error:
        warnings.warn(f"without names of classes: {error}", stacklevel=2)
        return Learned(delta)


def push_learned(
    board: DeviceClient,
    exported: Exported,
    learned: Learned,
    *,
    any_model: bool = False,
    progress: Progress | None = None,
) -> None:
    """Gives a board what another one learned, in one commit; what it learned itself is gone.

    Args:
        board: Runs the model of the export.
        exported: Its factory weights are what the delta is applied to.
        learned: What to push. A spare class that it uses without a name becomes "class N".
        any_model: Take differences of another model with as many weights, too. Whether they mean
            anything there is for validation data to say.
        progress: Called with the bytes that are there, and those there will be.

    Raises:
        DeltaError: It belongs to another model or other weights.
        DeviceError, LinkError: As `DeviceClient.push`.
    """
    _check_model(board, exported)
    weights = learned.delta.apply(exported.factory, exported.layout.model_hash, any_model)
    names = _spare_names(board, exported, weights, learned.names)
    _push(board, weights, names, progress)


def push_factory(board: DeviceClient, exported: Exported, progress: Progress | None = None) -> None:
    """Gives a board its factory weights, and takes all names of spare classes from it.

    Raises:
        DeltaError, DeviceError, LinkError: As `push_learned`.
    """
    _check_model(board, exported)
    _push(board, exported.factory, {}, progress)


def reset(board: DeviceClient, exported: Exported | None = None) -> bool:
    """Has a board forget all that it ever learned.

    Args:
        board: Which.
        exported: Its export, for boards that have no copy of the factory weights of their own.

    Returns:
        Whether the factory weights came from the export.

    Raises:
        DeviceError: NO_FACTORY_COPY if there is no export to take them from, and others.
    """
    try:
        board.reset()
    except DeviceError as error:
        if error.status != DeviceStatus.NO_FACTORY_COPY or exported is None:
            raise
        push_factory(board, exported)
        return True
    return False


def _push(
    board: DeviceClient, weights: np.ndarray, names: Mapping[int, str], progress: Progress | None
):
    # An empty line where there are no names: without any text the board would keep its own.
    text = names_text(names) or "\n"
    board.push(weights.astype("<f4").tobytes() + text.encode(), Region.WEIGHTS, progress)


def _spare_names(
    board: DeviceClient, exported: Exported, weights: np.ndarray, names: Mapping[int, str]
) -> dict[int, str]:
    """Names of the spare classes that are in use: with a name, or a bias that says so."""
    info, place = board.info, exported.layout.places[-1] if exported.layout.places else None
    spare = range(info.factory_classes, info.classes)
    used = [label for label in spare if label in names]
    if place and place.bias_offset >= 0:
        biases = weights[place.bias_offset :]
        used += [label for label in spare if label < len(biases) and biases[label] > _LEAST_BIAS]
    return {
        label: names.get(label, f"class {label}")
        for label in range(spare.start, max(used, default=-1) + 1)
    }


def _check_model(board: DeviceClient, exported: Exported):
    layout, info = exported.layout, board.info
    if info.model_hash != layout.model_hash or info.weights_floats != layout.weights:
        raise DeltaError(
            "export",
            f"that of the board's model {info.model_hash:016x}, {info.weights_floats:,} weights",
            f"{layout.model_hash:016x}, {layout.weights:,} weights",
            "Name the folder that the board's firmware was built from.",
        )
