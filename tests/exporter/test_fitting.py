"""Layers chosen by a board's memory: what was planned is what is exported."""

import dataclasses
import pickle

import keras
import pytest
from exported import ready
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate.boards.nano33ble import BOARD as NANO
from tf_medyate.errors import OptionError, UnsupportedLayerError
from tf_medyate.exporter.fitting import NothingFitsError
from tf_medyate.report import TrainingReport

pytestmark = pytest.mark.usefixtures("quick_export")

KIB = 1024


def _limited(limits, budget="3KiB", **options):
    return ready(small_net(), budget, layers=limits, **options)


def _board(arena_bytes, flash_bytes=NANO.flash_bytes):
    ram = NANO.core_ram_bytes + 8 * KIB + arena_bytes
    return dataclasses.replace(NANO, ram_bytes=ram, flash_bytes=flash_bytes)


def test_a_board_with_room_changes_nothing():
    _, medyate, _ = _limited(md.LayersThatFit(board="nano33ble"))
    _, free, _ = ready(small_net(), "3KiB")
    assert medyate.ranking == free.ranking
    assert medyate.plan is None
    assert free.frontier is None
    assert medyate.frontier.best.score == pytest.approx(1.0)
    assert "Arduino Nano 33 BLE (arena 192 KiB, flash 960 KiB)" in str(medyate.frontier)
    assert str(medyate.frontier) in str(medyate.report())


def test_the_layers_kept_fit_the_board_as_it_is_exported(tmp_path):
    _, medyate, _ = _limited(md.LayersThatFit(board="nano33ble"))
    arenas = [point.arena_bytes for point in medyate.frontier.points]
    board = _board(sorted(arenas)[len(arenas) // 2])
    assert max(arenas) > min(arenas)
    model, medyate, x = _limited(md.LayersThatFit(board=board))
    best = medyate.frontier.best
    assert best.score < 1
    assert medyate.report().candidates == tuple(
        s.name for s in medyate.specs if s.name in best.kept
    )
    assert "best layers that fit" in medyate.ranking.reason
    misses = [point.misses for point in medyate.frontier.points if not point.fits]
    assert misses
    assert all("RAM" in text for texts in misses for text in texts)
    _, y = random_data(model, 16)
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[medyate])
    options = md.FirmwareOptions(board=board)
    bundle = md.export(model, tmp_path, medyate, firmware=options)
    assert bundle.firmware.cpp.board_arena_bytes == best.arena_bytes
    assert bundle.firmware.fit.flash_bytes == best.flash_bytes
    assert str(medyate.frontier) in str(bundle)
    report = medyate.report()
    assert TrainingReport.from_json(report.to_json()) == report
    page = report.save_html(tmp_path / "report.html").read_text()
    assert "What fits the device" in page
    assert medyate.frontier._repr_html_().count("<tr>") == len(arenas) + 1
    everything = [spec.name for spec in medyate.specs if not spec.is_head]
    _, wrong, _ = ready(small_net(), "3KiB", layers=everything)
    with pytest.raises(md.errors.MedyateError, match="LayersThatFit"):
        md.export(wrong.attached_model, tmp_path / "no", wrong, firmware=options)


def test_limits_of_arena_and_flash_without_a_board(tmp_path):
    _, medyate, _ = _limited(md.LayersThatFit(flash_limit="1MiB"))
    flash = max(point.flash_bytes for point in medyate.frontier.points)
    model, medyate, _ = _limited(md.LayersThatFit(flash_limit=flash - 1))
    tight = medyate.frontier
    assert tight.best.flash_bytes < flash
    assert any(point.left_out or "flash" in point.remark for point in tight.points)
    needed = md.check_export(model, medyate).arena.needed_bytes
    limit = needed - 64
    model, medyate, _ = _limited(md.LayersThatFit(arena_limit=limit))
    assert md.check_export(model, medyate, limit).arena.needed_bytes <= limit


def test_layers_that_cannot_be_exported_are_passed_over():
    x = keras.Input((5, 4))
    y = keras.layers.LSTM(4, name="lstm")(keras.layers.Dense(8, name="a")(x))
    y = keras.layers.Dense(8, name="b")(y)
    base = keras.Model(x, keras.layers.Dense(3, activation="softmax")(y))
    model, medyate, _ = ready(base, "1KiB", layers=md.LayersThatFit(arena_limit="64KiB"))
    assert medyate.report().candidates == ("b",)
    first, *_, last = medyate.frontier.points
    assert "no export: layer 'lstm.recurrent'" in first.remark
    md.check_export(model, medyate, last.arena_bytes)
    with pytest.raises(NothingFitsError, match="at best TFLM's arena"):
        ready(base, "1KiB", layers=md.LayersThatFit(arena_limit=last.arena_bytes - 1))
    with pytest.raises(UnsupportedLayerError, match=r"without TFLM.*arena_limit alone"):
        ready(base, "1KiB", layers=md.LayersThatFit("nano33ble"))


def test_where_nothing_fits_the_error_says_how_much_is_missing():
    with pytest.raises(
        NothingFitsError, match=r"RAM .* for the head alone RAM .* smaller model"
    ) as e:
        _limited(md.LayersThatFit(board=_board(1 * KIB)))
    assert "from layer" in str(e.value)
    assert str(pickle.loads(pickle.dumps(e.value))) == str(e.value)
    with pytest.raises(NothingFitsError, match=r"flash .*factory_copy=False"):
        _limited(md.LayersThatFit(flash_limit="100KiB"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: md.LayersThatFit(), "a board, an arena_limit or a flash_limit; received none"),
        (lambda: md.LayersThatFit(board="toaster"), "board: expected one of nano33ble"),
        (lambda: md.LayersThatFit(flash_limit="9 elements"), "flash_limit: expected bytes"),
        (lambda: _limited(md.LayersThatFit("nano33ble"), None, strategy="head"), "draws input"),
        (lambda: _limited(md.LayersThatFit("nano33ble"), strategy="velocity"), "draws input"),
        (lambda: _limited(md.LayersThatFit("nano33ble"), device_batch=2), "device_batch=1"),
        (
            lambda: _limited(
                md.LayersThatFit("nano33ble"), optimizer=keras.optimizers.Lion(0.1)
            ),
            "keras.optimizers.SGD",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused_before_training(make, message):
    with pytest.raises(OptionError, match=message):
        make()
