"""What is known of a board: memory, clock, current, flash."""

from __future__ import annotations

import dataclasses

from tf_medyate.spec import FLASH_PAGE_BYTES


@dataclasses.dataclass(frozen=True)
class FlashTraits:
    """A flash memory; tflm_ops/store/wear.h has the same.

    Attributes:
        page_bytes: What one erase erases.
        erase_us: Of a page, in microseconds.
        write_us: Of a word of 4 bytes, in microseconds.
        cycles: Erases that a page endures.
    """

    page_bytes: int = FLASH_PAGE_BYTES
    erase_us: int = 85_000
    write_us: int = 41
    cycles: int = 10_000


@dataclasses.dataclass(frozen=True)
class Board:
    """A board with the software that comes with it.

    Attributes:
        name: On the command line.
        title: For people.
        flash_bytes: Flash for the application, bootloader left out.
        ram_bytes: RAM in all.
        core_flash_bytes: Of it what board package and sensor libraries take.
        core_ram_bytes: The same of RAM; the stack that a sketch runs on is in it.
        core_stack_bytes: Size of that stack.
        clock_hz: Of the CPU.
        volts: Of its supply.
        amperes: Current while the CPU computes.
        flash: Its flash memory.
    """

    name: str
    title: str
    flash_bytes: int
    ram_bytes: int
    core_flash_bytes: int
    core_ram_bytes: int
    core_stack_bytes: int
    clock_hz: float
    volts: float
    amperes: float
    flash: FlashTraits
