"""`medyate device ... status`: what runs on a board, and how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_medyate.commands.screen import out

if TYPE_CHECKING:
    from tf_medyate.device import DeviceClient, DeviceCounters, DeviceInfo

_DAYS_A_YEAR = 365.25


def show(board: DeviceClient, commits_per_day: float) -> None:
    """Prints a table.

    Args:
        board: Which.
        commits_per_day: How the life that is left is worked out; above 0.
    """
    from rich.table import Table

    from tf_medyate.device import DeltaError

    counters = board.status()
    try:
        names = board.names()
    except DeltaError as error:
        out.say(f"The names of the classes cannot be read: {error}")
        names = {}
    table = Table(title=str(board.info), title_justify="left", show_header=False)
    for name, value in rows(board.info, counters, names, commits_per_day):
        table.add_row(name, value)
    out.print(table)


def rows(
    info: DeviceInfo, counters: DeviceCounters, names: dict[int, str], commits_per_day: float
) -> list[tuple[str, str]]:
    """What the table says, line by line."""
    draw = "none yet" if counters.draw < 0 else f"number {counters.draw}"
    sound = "yes" if counters.is_sound else "no: the guard will drop this epoch"
    shown = [
        ("learned from", f"{counters.samples:,} samples, {counters.updates:,} updates"),
        (
            "epochs",
            f"{counters.epochs:,}, of them {counters.dropped_epochs:,} dropped by the guard",
        ),
        ("draw", draw),
        ("losses finite", sound),
        ("held back", f"{counters.held_samples:,} samples to judge epochs by"),
    ]
    if info.classes:
        shown.append(("classes", _classes(info, counters, names)))
    return [
        *shown,
        ("commits", f"{counters.commits:,}"),
        ("flash left", life(counters.commits_left, commits_per_day)),
        ("weight store", _status(counters.store_status)),
        ("RAM for training", f"{counters.arena_bytes:,} bytes"),
        ("line", _line(counters)),
    ]


def life(commits_left: int | None, commits_per_day: float) -> str:
    """How long the flash lasts, as in "9,998 commits, 1.1 years at 24 a day"."""
    if commits_left is None:
        return "unknown"
    days = commits_left / commits_per_day
    long = f"{days / _DAYS_A_YEAR:.1f} years" if days >= _DAYS_A_YEAR else f"{days:.0f} days"
    return f"{commits_left:,} commits like the last one, {long} at {commits_per_day:g} a day"


def _classes(info: DeviceInfo, counters: DeviceCounters, names: dict[int, str]) -> str:
    spare = info.classes - counters.named_classes
    called = ", ".join(f"{label} {name}" for label, name in names.items()) or "without names"
    return f"{counters.named_classes} in use, {spare} spare: {called}"


def _status(status: int) -> str:
    """A status by its name, and what to do about it."""
    from tf_medyate.device import DeviceStatus
    from tf_medyate.device.remedies import REMEDIES

    if status not in REMEDIES:
        return "well" if status == DeviceStatus.OK else f"status {status}"
    return f"{DeviceStatus(status).name}. {REMEDIES[DeviceStatus(status)]}"


def _line(counters: DeviceCounters) -> str:
    text = f"{counters.frames:,} requests, {counters.repeats:,} answered again, "
    text += f"{counters.bad_frames:,} unreadable frames"
    return text + (f", the last {_status(counters.last_bad_frame)}" if counters.bad_frames else "")
