"""Runs a program on an emulated Cortex-M4F and counts which blocks it executed, region by region.

A region is what a program does between its n-th call of `BeginRegion` and the next of `EndRegion`
(benchmarks/cortex_m/region.h). QEMU writes a line for each block it executes; lines are counted in
pairs, for whether a branch was taken shows in the block that came next.

Example:
    >>> run = trace(pathlib.Path("layers.elf"))  # doctest: +SKIP
    >>> run.regions[0].instructions, run.regions[0].cycles  # doctest: +SKIP
    (1403210, 1598844)
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Iterator

from .cycles import Block, Cost, cost_of, parse_disassembly

EMULATE = shlex.split(
    "qemu-system-arm -M mps2-an386 -cpu cortex-m4 -nographic -icount shift=0 "
    "-semihosting-config enable=on,target=native"
)
BEGIN, END = "BeginRegion", "EndRegion"
_TRACE = re.compile(rb"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")
_INSTRUCTION = re.compile(rb"^0x([0-9a-f]+):  ([0-9a-f]{4}(?: [0-9a-f]{4})?)")
_REWOUND = re.compile(rb"^cpu_io_recompile: rewound execution of TB to ([0-9a-f]+)")
_CHUNK_BYTES = 1 << 24


@dataclasses.dataclass(frozen=True)
class Run:
    """What a traced program did.

    Attributes:
        output: What it printed.
        regions: The cost of each of its regions, in order.
    """

    output: str
    regions: tuple[Cost, ...]


def trace(program: pathlib.Path, timeout_s: float = 600) -> Run:
    """Runs a program on the emulator and adds up what its regions cost.

    Raises:
        RuntimeError: It ended with another status than 0.
    """
    reader, writer = os.pipe()
    command = [*EMULATE, "-d", "in_asm,exec,nochain", "-D", f"/dev/fd/{writer}"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*command, "-kernel", str(program)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[writer],
            cwd=program.parent,
        )
        os.close(writer)
        with os.fdopen(reader, "rb") as log:
            regions = _Counter(*_marks(program)).count(_chunks(log))
        status = process.wait(timeout_s)
        output.seek(0)
        printed = output.read().decode()
    if status != 0:
        raise RuntimeError(f"{program.name}: expected status 0, got {status}. {printed}")
    listing = _tool("objdump", "-d", "--no-show-raw-insn", str(program))
    code = parse_disassembly(listing)
    return Run(printed, tuple(cost_of(region, code) for region in regions))


def _tool(name: str, *arguments: str) -> str:
    command = [f"arm-none-eabi-{name}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _marks(program: pathlib.Path) -> tuple[int, int]:
    found = {}
    for line in _tool("nm", str(program)).splitlines():
        words = line.split()
        if words[-1] in (BEGIN, END):
            found[words[-1]] = int(words[0], 16) & ~1
    if len(found) != 2:
        expected = f"functions {BEGIN} and {END}"
        raise RuntimeError(f"{program.name}: expected {expected}, got {sorted(found)}.")
    return found[BEGIN], found[END]


def _chunks(log) -> Iterator[list[bytes]]:
    """Lists of whole lines."""
    rest = b""
    while chunk := log.read(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield lines
    if rest:
        yield [rest]


class _Counter:
    """Reads the emulator's log: blocks as they are translated, and lines as they are executed."""

    def __init__(self, begin: int, end: int):
        self._begin, self._end = begin, end
        self._blocks: dict[bytes, Block] = {}
        self._instructions: list[tuple[int, int]] = []  # of the block that is being translated
        self._before: bytes | None = None  # the line last executed, whose successor is unknown
        self._pairs: collections.Counter[tuple[bytes, bytes]] | None = None
        self._cut: collections.Counter[tuple[bytes, int]] = collections.Counter()
        self._marks: set[bytes] = set()

    def count(self, chunks: Iterable[list[bytes]]) -> list[dict[tuple[Block, int], int]]:
        """(block, what came next) -> how often, for each region."""
        regions = []
        for lines in chunks:
            known, start = self._blocks, 0
            marks = self._marks
            places = [i for i, ln in enumerate(lines) if ln not in known or ln in marks]
            for place in (*places, len(lines)):
                self._add(lines, start, place)
                if place < len(lines):
                    done = self._read(lines[place])
                    if done is not None:
                        regions.append(done)
                start = place + 1
        return regions

    def _add(self, lines: list[bytes], start: int, end: int):
        """Counts lines that are all known blocks."""
        if start == end:
            return
        if self._pairs is not None:
            if self._before is not None:
                self._pairs[self._before, lines[start]] += 1
            run = lines[start:end]
            self._pairs.update(itertools.pairwise(run))
        self._before = lines[end - 1]

    def _read(self, line: bytes) -> dict[tuple[Block, int], int] | None:
        """Reads any other line; gives a region if it ends here."""
        if match := _INSTRUCTION.match(line):
            address, words = match.groups()
            self._instructions.append((int(address, 16), 2 if len(words) == 4 else 4))
        elif match := _TRACE.match(line):
            return self._executed(line, int(match.group(1), 16))
        elif match := _REWOUND.match(line):
            if self._pairs is not None and self._before is not None:
                self._cut[self._before, int(match.group(1), 16)] += 1
            self._before = None
        elif line.startswith(b"IN:"):
            self._instructions = []
        elif line.startswith(b"Stopped"):
            self._before = None  # it was not executed after all
        return None

    def _executed(self, line: bytes, address: int) -> dict[tuple[Block, int], int] | None:
        if line not in self._blocks:
            addresses = tuple(at for at, _ in self._instructions)
            last, size = self._instructions[-1]
            self._blocks[line] = Block(address, last + size, addresses)
        region = None
        if address == self._begin:
            self._pairs, self._cut = collections.Counter(), collections.Counter()
            self._marks.add(line)
            self._before = None
            return None
        if address == self._end and self._pairs is not None:
            self._marks.add(line)
            if self._before is not None:
                self._pairs[self._before, line] += 1
            region = self._region()
            self._pairs = None
        elif self._pairs is not None and self._before is not None:
            self._pairs[self._before, line] += 1
        self._before = line
        return region

    def _region(self) -> dict[tuple[Block, int], int]:
        assert self._pairs is not None
        total: collections.Counter[tuple[Block, int]] = collections.Counter()
        for (line, following), count in self._pairs.items():
            total[self._blocks[line], self._blocks[following].start] += count
        for (line, address), count in self._cut.items():
            total[self._blocks[line].until(address), address] += count
        return dict(total)
