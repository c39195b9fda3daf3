r"""Estimated cycles of code on a Cortex-M4F: what an emulator executed, times what it costs.

The costs are those of the Cortex-M4 technical reference manual (ARM DDI 0439): chapter 3.3 for the
core, chapter 7.2 for its FPU.

    single load or store     2; 1 after another one, unless its address is what that one loaded
    store, immediate offset  1
    load or store of N       1 + N
    floating point           1; multiply-accumulate 3; division and square root 14
    its result used at once  1 more; not where it is the addend of a multiply-accumulate
    MUL 1, MLA 2, UDIV and SDIV 12 (the manual says 2 to 12), all else 1
    address just computed    1 more for the load or store after it
    branch taken             2 more (`REFILL_CYCLES`; the manual says 1 to 3)

Memory answers at once: code comes from an instruction cache that holds the inner loops, data from
RAM. A flash that makes a load wait costs more. A conditional instruction counts as executed.

Example:
    >>> code = parse_disassembly("    1000:\tvmul.f32\ts0, s1, s2\n    1004:\tbx\tlr\n")
    >>> straight_cycles([code[0x1000], code[0x1004]])
    2
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

REFILL_CYCLES = 2
"""Cycles to refill the pipeline after a branch."""

_DIVISION_CYCLES = 12
_LINE = re.compile(r"^\s*([0-9a-f]+):\t([a-z][\w.]*)(?:\t(.*))?$")
_REGISTER = re.compile(r"\b(?:r\d+|[sd]\d+|sp|lr|pc|ip|fp|sl|sb)\b")
_RANGE = re.compile(r"([rsd])(\d+)-[rsd](\d+)")
_MULTIPLE = re.compile(r"(?:v?ldm|v?stm|v?push|v?pop)")
_DOUBLE = re.compile(r"(?:ldrd|strd)")
_SINGLE = re.compile(r"v?(?:ldr|str)")
_MULTIPLY_ACCUMULATE = re.compile(r"v(?:n?ml[as]|fn?m[as])")
_FLOAT_ARITHMETIC = re.compile(r"v(?:add|sub|n?mul|n?ml[as]|fn?m[as]|div|sqrt|cvt)")
_CONDITION = "eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al"
_NO_DESTINATION = re.compile(
    rf"(?:cmp|cmn|tst|teq|cb|it|v?str|v?cmp|b(?:l|x|lx)?(?:{_CONDITION})?$)"
)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a disassembly.

    Attributes:
        address: Where it stands.
        mnemonic: Its name, with condition and data type, without width.
        operands: As they are written.
    """

    address: int
    mnemonic: str
    operands: str

    @property
    def is_single(self) -> bool:
        """Loads or stores one register."""
        return bool(_SINGLE.match(self.mnemonic)) and not _DOUBLE.match(self.mnemonic)

    @property
    def is_store(self) -> bool:
        """Stores one register."""
        return self.is_single and "str" in self.mnemonic

    @property
    def registers(self) -> list[str]:
        """Registers in the order they are named."""
        return _REGISTER.findall(self.operands)

    @property
    def result(self) -> str | None:
        """The register that it writes; None for one that writes none, or several."""
        if _NO_DESTINATION.match(self.mnemonic) or _MULTIPLE.match(self.mnemonic):
            return None
        return self.registers[0] if self.registers else None

    @property
    def address_registers(self) -> list[str]:
        """Registers between the brackets."""
        return _REGISTER.findall("".join(re.findall(r"\[.*?\]", self.operands)))


def parse_disassembly(text: str) -> dict[int, Instruction]:
    """Instructions by address, from `objdump -d --no-show-raw-insn`."""
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            address, mnemonic, operands = match.groups()
            bare = re.split(r"\s*[@;<]", operands or "")[0]
            mnemonic = re.sub(r"\.[nw]$", "", mnemonic)
            found[int(address, 16)] = Instruction(int(address, 16), mnemonic, bare)
    return found


def straight_cycles(instructions: Sequence[Instruction]) -> int:
    """Cycles of instructions executed one after the other, none of them a taken branch."""
    total, before = 0, None
    for instruction in instructions:
        total += _own_cycles(instruction)
        if before is not None:
            total += _after(before, instruction)
        before = instruction
    return total


def _own_cycles(instruction: Instruction) -> int:
    name = instruction.mnemonic
    if _MULTIPLE.match(name):
        return 1 + _listed(instruction.operands)
    if _DOUBLE.match(name) or (instruction.is_single and name.endswith(".64")):
        return 3
    if instruction.is_single:
        plain = instruction.is_store and name[0] != "v" and len(instruction.address_registers) == 1
        return 1 if plain else 2
    if _MULTIPLY_ACCUMULATE.match(name):
        return 3
    if name.startswith(("vdiv", "vsqrt")):
        return 14
    if name.startswith(("udiv", "sdiv")):
        return _DIVISION_CYCLES
    if name.startswith(("mla", "mls", "tb")) and not name.startswith("teq"):
        return 2
    return 1


def _listed(operands: str) -> int:
    """Registers of a list such as "r3!, {s4-s7, s9}"."""
    inside = operands[operands.index("{") :]
    between = sum(int(last) - int(first) - 1 for _, first, last in _RANGE.findall(inside))
    count = len(_REGISTER.findall(inside)) + between
    return 2 * count if "d" in inside else count


def _after(before: Instruction, instruction: Instruction) -> int:
    """What it adds to an instruction's cycles that another one stands before it."""
    result = before.result
    if instruction.is_single:
        depends = result in instruction.address_registers
        if before.is_single:
            follows = _own_cycles(instruction) == 2 and not depends and _can_overlap(before)
            return -1 if follows else 0
        if depends:
            return 1
    if result and _FLOAT_ARITHMETIC.match(before.mnemonic) and _consumes(instruction, result):
        return 1
    return 0


def _can_overlap(before: Instruction) -> bool:
    """Whether the next load or store can begin while this one ends."""
    return not (before.is_store and len(before.address_registers) > 1)


def _consumes(instruction: Instruction, register: str) -> bool:
    used = instruction.registers
    if instruction.result is not None:  # the addend, where it is one, is used a cycle later
        used = used[1:] if len(used) > 1 else []
    return register in used


@dataclasses.dataclass(frozen=True)
class Block:
    """Instructions that the emulator translates, and executes, together.

    Attributes:
        start: Address of the first.
        end: Address after the last.
        addresses: Of all of them, in order.
    """

    start: int
    end: int
    addresses: tuple[int, ...]

    def until(self, address: int) -> Block:
        """The part before an address."""
        kept = tuple(a for a in self.addresses if a < address)
        return Block(self.start, address, kept)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What some code took.

    Attributes:
        instructions: Executed.
        cycles: Estimated.
    """

    instructions: int
    cycles: int


def cost_of(executions: Mapping[tuple[Block, int], int], code: Mapping[int, Instruction]) -> Cost:
    """Adds up what was executed.

    Args:
        executions: (block, address that came next) -> how often.
        code: The program's instructions by address.
    """
    straight: dict[Block, int] = {}
    instructions = cycles = 0
    for (block, following), count in executions.items():
        if block not in straight:
            straight[block] = straight_cycles([code[address] for address in block.addresses])
        cost = straight[block]
        if following != block.end:
            cost += REFILL_CYCLES
        elif block.addresses and following in code:
            # The emulator cuts blocks where it likes, also between two loads.
            cost += _after(code[block.addresses[-1]], code[following])
        instructions += count * len(block.addresses)
        cycles += count * cost
    return Cost(instructions, cycles)
