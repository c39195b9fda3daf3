"""Boards: what fits, and what time, energy and flash life come to."""

import pathlib
import pickle
import re

import pytest
from arduino_build import run
from cpp_build import HOST, ROOT

from tf_medyate import boards
from tf_medyate.boards.board import Board, FlashTraits
from tf_medyate.boards.nano33ble import BOARD as NANO_33_BLE
from tf_medyate.boards.registry import get_board
from tf_medyate.errors import OptionError
from tf_medyate.exporter.board.estimate import commit_us, commits_left, estimate, flash_life
from tf_medyate.exporter.board.fit import BoardError, check_fit
from tf_medyate.exporter.board.journal import journal_pages
from tf_medyate.plugins import VARIABLE, collect

KIB = 1024
PARTS = {
    "arena_bytes": 100_000,
    "weights_bytes": 8192,
    "factory_bytes": 8192,
    "constants_bytes": 50_000,
    "journal_bytes": 24_576,
    "code_bytes": 90_000,
    "static_bytes": 8000,
    "stack_bytes": 2000,
}
TABLE = """\
Arduino Nano 33 BLE, bytes
  RAM                               165,344 of 262,144, 96,800 free
    core, with a sketch's stack      57,344
    arena                           100,000
    trainer and buffers               8,000
  flash                             307,935 of 983,040, 675,105 free
    core and libraries              122,880
    ops, runtime, protocol           90,000
    trained weights                   8,192
    their alignment, at most          4,095
    their factory copy                8,192
    other weights                    50,000
    journal                          24,576
  stack                               2,000 of 32,768, within the core's RAM"""


def test_a_model_that_fits_prints_what_it_takes():
    assert str(check_fit(NANO_33_BLE, **PARTS)) == TABLE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"arena_bytes": 196_801},
            "at most 262,144 of RAM; received 262,145 bytes of RAM. Take a smaller input",
        ),
        (
            {"constants_bytes": 725_106},
            "at most 983,040 of flash; received 983,041 bytes of flash. Take a smaller model",
        ),
        (
            {"stack_bytes": 32_769},
            "at most 32,768 of stack; received 32,769 bytes of stack. Run training in a thread",
        ),
        (
            {"arena_bytes": 300_000, "constants_bytes": 1_000_000},
            "at most 262,144 of RAM, 983,040 of flash; received 365,344 bytes of RAM, 1,257,935",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_the_numbers(change, message):
    with pytest.raises(BoardError) as error:
        check_fit(NANO_33_BLE, **{**PARTS, **change})
    assert message in str(error.value)
    assert str(error.value.fit) in str(error.value), "the whole table, too"
    assert error.value.fit.excess()
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


@pytest.mark.parametrize("part", ["arena_bytes", "constants_bytes", "stack_bytes"])
def test_the_last_byte_still_fits(part):
    limits = {"arena_bytes": 196_800, "constants_bytes": 725_105, "stack_bytes": 32_768}
    check_fit(NANO_33_BLE, **{**PARTS, part: limits[part]})


def test_time_and_energy_come_from_cycles():
    # 64 MHz; 3 V and 6.3 mA are 18.9 mW.
    what = estimate(NANO_33_BLE, 6.4e6, samples_per_epoch=50, commit_s=1.0)
    assert what.step_s == pytest.approx(0.1)
    assert what.step_j == pytest.approx(1.89e-3)
    assert what.epoch_s == pytest.approx(6.0)
    assert what.epoch_j == pytest.approx(6.0 * 18.9e-3)
    assert str(what) == (
        "estimated, not measured: a step 100.0 ms and 1.890 mJ; an epoch of 50 samples 6.00 s "
        "and 113.4 mJ, of it the commit 1.00 s"
    )
    with pytest.raises(OptionError, match="numbers of 0 or more"):
        estimate(NANO_33_BLE, -1)


def test_the_flash_lasts_as_long_as_its_most_used_page():
    # Two pages: two images and two weight pages and a head are erased, 1,024 words in each.
    # So is a page of the 840 importances.
    life = flash_life(NANO_33_BLE, 2, commits_per_day=10, importance_floats=840, head_words=100)
    assert life.commit_s == pytest.approx(6 * 0.085 + (4 * 1024 + 840 + 100 + 16) * 41e-6)
    assert life.commits == 10_000, "each commit erases each weight page once"
    assert life.years == pytest.approx(1000 / 365.25)
    assert "10,000 commits, 2.7 years at 10 a day" in str(life)
    assert flash_life(NANO_33_BLE, 2, 0, 0).years == float("inf")
    with pytest.raises(OptionError, match="numbers of 0 or more"):
        flash_life(NANO_33_BLE, -1, 1, 0)


WEAR = """
#include <stdio.h>

#include "tflm_ops/device/nano33ble.h"

int main() {
  unsigned images, runs, head, weights, journal, pages, bulk;
  while (scanf("%u %u %u %u %u %u %u", &images, &runs, &head, &weights, &journal, &pages, &bulk) ==
         7) {
    uint32_t counts[64] = {weights, 0};
    counts[3] = journal;
    printf("%llu %u %u\\n",
           (unsigned long long)medyate::CommitMicroseconds(medyate::kNrf52840Traits, images, runs,
                                                           head, bulk),
           medyate::CommitsLeft(medyate::kNrf52840Traits, counts, 2, pages, images,
                                medyate::ImportancePages(bulk), (runs + 1023) / 1024),
           medyate::NanoJournalPages(1024 * images, bulk, (runs + 1023) / 1024));
  }
  return 0;
}
"""
CASES = [
    (images, runs, head, weights, journal, pages, bulk)
    for images, runs, head, bulk in (
        (0, 0, 30, 0),
        (0, 0, 30, 6),
        (1, 0, 100, 1024),
        (2, 0, 500, 0),
        (2, 0, 500, 2049),
        (2, 1, 500, 840),
        (2, 1025, 500, 0),
    )
    for weights, journal in ((0, 0), (9_990, 17), (10_000, 3), (12, 10_000), (40, 9_999))
    for pages in (3, 4, 6, 21)
]


def test_wear_is_that_of_the_device(tmp_path: pathlib.Path):
    HOST.require()
    (tmp_path / "wear.cc").write_text(WEAR)
    sources = ["wear.cc", str(ROOT / "tflm_ops/store/wear.cc")]
    run([HOST.compiler, "-std=c++14", f"-I{ROOT}", *sources, "-o", "wear"], tmp_path)
    text = "".join(f"{' '.join(map(str, case))}\n" for case in CASES)
    rows = run([str(tmp_path / "wear")], text=text).splitlines()
    traits = FlashTraits()
    for row, (images, runs, head, weights, journal, pages, bulk) in zip(rows, CASES, strict=True):
        ours = (
            commit_us(traits, images, runs, head, bulk),
            commits_left(
                traits, weights, journal, pages, images, -(-bulk // 1024), -(-runs // 1024)
            ),
            journal_pages(images, -(-bulk // 1024), -(-runs // 1024)),
        )
        assert [int(word) for word in row.split()] == list(ours)


def test_a_board_is_one_file(tmp_path, monkeypatch):
    text = (ROOT / "docs/extending.md").read_text()
    [source] = re.findall(r'```python\n("""A board.*?)```', text, re.DOTALL)
    (tmp_path / "half.py").write_text(source)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "half.py"))
    found = collect(boards, "BOARD", Board)
    assert set(found) == {"nano33ble", "half_nano"}
    with pytest.raises(BoardError, match="model for the half a Nano"):
        check_fit(found["half_nano"], **{**PARTS, "arena_bytes": 100_000})
    with pytest.raises(OptionError, match=r"board: expected one of nano33ble.*'nano'"):
        get_board("nano")
