"""What benchmarks/cortex_m.py counts with: costs of instructions, the emulator's trace, the map."""

import pathlib
import subprocess
import warnings

import pytest

from benchmarks.cortex_m.build import build, missing_tools
from benchmarks.cortex_m.cycles import Block, cost_of, parse_disassembly, straight_cycles
from benchmarks.cortex_m.memory import footprint
from benchmarks.cortex_m.trace import trace

# A loop of 5 instructions, 1,000 times, among 3 that are executed once: 5,003 instructions. The
# loop: VLDR 2, VLDR after it 1, VMUL 1, SUBS 1, BNE 1, and 2 more for a branch taken, 999 times.
# Around it: MOVW 1, LDR of a literal 2, BX 1 and 2 more.
PROGRAM = """
  .syntax unified
  .cpu cortex-m4
  .fpu fpv4-sp-d16
  .thumb
  .text
  .global Work
  .type Work, %function
Work:
  movw r0, #1000
  ldr r1, =0x20000000
loop:
  vldr s0, [r1]
  vldr s1, [r1, #4]
  vmul.f32 s2, s0, s1
  subs r0, #1
  bne loop
  bx lr
"""
INSTRUCTIONS = 3 + 5 * 1000
CYCLES = 1 + 2 + 3 + 1000 * 6 + 999 * 2

MAIN = """
#include <stdio.h>
#include "benchmarks/cortex_m/region.h"
extern "C" void Work();
int table[100];
__attribute__((noinline)) unsigned long Measured() {
  return medyate::Region([] { Work(); });
}
int main() {
  medyate::StartSysTick();
  const unsigned long first = Measured();
  const unsigned long second = Measured();
  printf("%lu %lu\\n", first, second);
  BeginRegion();
  EndRegion();
  BeginRegion();
  Work();
  EndRegion();
  return table[0];
}
"""


def cycles(*lines: str) -> int:
    text = "".join(f"    {4096 + 4 * i:x}:\t{line}\n" for i, line in enumerate(lines))
    code = parse_disassembly(text)
    assert len(code) == len(lines)
    return straight_cycles([code[address] for address in sorted(code)])


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["adds\tr0, r1, r2"], 1),
        (["ldr.w\tr0, [r1, #4]"], 2),
        (["ldr\tr0, [r1, #4]", "ldr\tr2, [r3, #0]"], 3),
        (["ldr\tr0, [r1, #4]", "ldr\tr2, [r0, #0]"], 4),  # the address is what was loaded
        (["bic.w\tr1, r2, #3", "ldr\tr0, [r1, #4]"], 4),
        (["add.w\tr1, r2, r3", "ldr\tr0, [r1, #4]"], 4),  # the address was just computed
        (["str\tr0, [r1, #4]"], 1),
        (["str\tr0, [r1, r2]"], 2),
        (["vldr\ts0, [r1]", "vldr\ts1, [r1, #4]", "vldr\ts2, [r1, #8]"], 4),
        (["vldr\ts0, [r1]", "adds\tr0, #1", "vldr\ts1, [r1, #4]"], 5),
        (["vldmia\tr1!, {s9}"], 2),
        (["vldmia\tr1!, {s4-s7, s9}"], 6),
        (["vpush\t{d8-d15}"], 17),
        (["push\t{r4, r5, r6, lr}"], 5),
        (["ldrd\tr0, r1, [sp, #4]"], 3),
        (["vmul.f32\ts0, s1, s2"], 1),
        (["vmul.f32\ts0, s1, s2", "vadd.f32\ts3, s3, s0"], 3),  # used at once
        (["vmul.f32\ts0, s1, s2", "vadd.f32\ts0, s3, s4"], 2),  # overwritten, not used
        (["vmul.f32\ts0, s1, s2", "vstr\ts0, [r1]"], 4),
        (["vmul.f32\ts0, s1, s2", "vmla.f32\ts0, s3, s4"], 4),  # the addend is used later
        (["vmul.f32\ts0, s1, s2", "vmla.f32\ts3, s0, s4"], 5),
        (["vfma.f32\ts0, s1, s2"], 3),
        (["vdiv.f32\ts0, s1, s2"], 14),
        (["mul.w\tr0, r1, r2", "mla\tr0, r1, r2, r3", "udiv\tr0, r1, r2"], 15),
        (["bne.n\t1000 <main+0x4>"], 1),
    ],
)
def test_costs_are_those_of_the_manual(lines, wanted):
    assert cycles(*lines) == wanted


def test_a_branch_costs_more_when_it_is_taken():
    code = parse_disassembly("    1000:\tsubs\tr0, #1\n    1002:\tbne.n\t1000 <f>\n")
    block = Block(0x1000, 0x1004, (0x1000, 0x1002))
    cost = cost_of({(block, 0x1000): 9, (block, 0x1004): 1}, code)
    assert (cost.instructions, cost.cycles) == (20, 20 + 9 * 2)


def test_it_does_not_matter_where_the_emulator_cuts():
    code = parse_disassembly("    1000:\tvldr\ts0, [r1]\n    1004:\tvldr\ts1, [r1, #4]\n")
    whole = Block(0x1000, 0x1008, (0x1000, 0x1004))
    first, second = whole.until(0x1004), Block(0x1004, 0x1008, (0x1004,))
    cut = cost_of({(first, 0x1004): 1, (second, 0x1008): 1}, code)
    assert cut == cost_of({(whole, 0x1008): 1}, code)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    missing = missing_tools()
    if missing:
        warnings.warn(f"NOT RUN: no {' and no '.join(missing)} here", stacklevel=2)
        pytest.skip("no compiler or emulator")
    folder: pathlib.Path = tmp_path_factory.mktemp("cortex_m")
    (folder / "work.s").write_text(PROGRAM)
    (folder / "main.cc").write_text(MAIN)
    return build(folder / "program.elf", (folder / "main.cc", folder / "work.s"))


def test_the_trace_of_known_code_is_counted_exactly(program):
    run = trace(program)
    by_systick = [int(line) for line in run.output.split()]
    empty, bare = run.regions[2], run.regions[3]
    around = (bare.instructions - INSTRUCTIONS, bare.cycles - CYCLES)
    # A call, the return from BeginRegion and the call of EndRegion belong to every region.
    assert 0 < around[0] - empty.instructions <= 3
    assert 0 < around[1] - empty.cycles <= 3 + 2 * 3
    assert run.regions[0] == run.regions[1]
    # SysTick ticks once every 40 instructions, and reading it belongs to the region.
    for traced, ticked in zip(run.regions, by_systick, strict=False):
        assert abs(traced.instructions - ticked) <= 80
        assert 0 < traced.instructions - bare.instructions <= 40


def test_the_map_says_whose_bytes_they_are(program):
    found = footprint(program.with_suffix(".map"))
    assert found.ram["program"] >= 400
    assert 50 < found.flash["program"] < 1000
    assert found.flash["C library"] > 1000
    assert "runtime and ops" not in found.flash


COMPILER = "12.2.1"  # that the committed table was counted with


def test_the_committed_step_table_is_what_the_code_gives(program, tmp_path):
    version = subprocess.run(
        ["arm-none-eabi-g++", "-dumpfullversion"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if version != COMPILER:
        warnings.warn(f"NOT RUN: counted with gcc {COMPILER}, here is {version}", stacklevel=2)
        pytest.skip("another compiler")
    from benchmarks.cortex_m.nets import NETS, measure_step

    page = pathlib.Path(__file__).resolve().parents[2] / "docs/cortex_m.md"
    table = page.read_text().split("<!-- steps -->", 1)[1].split("<!-- end -->", 1)[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.split("\n")]
    columns = {row[0]: row[1:] for row in rows if len(row) > 1}
    assert columns[""] == [net.title for net in NETS]
    [(place, smallest)] = [(i, net) for i, net in enumerate(NETS) if net.name == "small_cnn"]
    step = measure_step(smallest, tmp_path)
    counted = {
        "instructions": step.instructions,
        "cycles, estimated": step.cycles,
        "cycles, predicted for this draw": step.predicted_cycles,
        "cycles, predicted for equal shares": step.exported_cycles,
        "arena, bytes": step.arena_bytes,
        "stack, bytes": step.stack_bytes,
    }
    told = {name: int(columns[name][place].replace(",", "")) for name in counted}
    remedy = "Run benchmarks/cortex_m.py --markdown docs/cortex_m.md."
    assert told == counted, remedy
