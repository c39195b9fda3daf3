"""The journal of runs: large enough for every draw, and chosen where one of pages does not fit."""

import dataclasses

import numpy as np
import pytest
from exported import lower, ready
from random_models import small_net

import tf_medyate as md
from tf_medyate.boards.nano33ble import BOARD as NANO
from tf_medyate.errors import OptionError
from tf_medyate.exporter.board import journal as journal_module
from tf_medyate.exporter.board.estimate import flash_life
from tf_medyate.exporter.board.journal import journal_pages, most_run_pages, with_journal
from tf_medyate.exporter.write.cpp import cpp_sizes

PAGE_WORDS = 1024


def _packed_words(training, cpp, drawn):
    """Words of the packed runs of a draw: layer name -> channels; as PackedWords counts them."""
    runs = []
    for layer in training.layout.layers:
        name, length = layer.spec.name, layer.spec.weights_per_channel
        first = cpp.weights[training.weights[name]]
        channels = drawn[name] if layer.is_drawn else range(layer.spec.channels)
        runs += [(first + channel * length, length) for channel in channels]
        if layer.biases:
            runs.append((cpp.weights[training.biases[name]], layer.biases))
    heads, touched = 0, set()
    for first, length in runs:
        pages = range(first // PAGE_WORDS, (first + length - 1) // PAGE_WORDS + 1)
        heads += len(pages)
        touched.update(pages)
    return len(touched) + heads + sum(length for _, length in runs)


def _draw(training, rng):
    """Channels in random order while the budget lasts, as many as it holds."""
    layers = training.layout.drawn
    left, drawn = training.recipe.capacity, {layer.spec.name: [] for layer in layers}
    channels = [(layer, c) for layer in layers for c in range(layer.spec.channels)]
    if rng.random() < 0.5:  # whole layers, one after the other
        order = rng.permutation(len(layers))
        channels.sort(key=lambda pair: order[layers.index(pair[0])])
    else:
        rng.shuffle(channels)
    for layer, channel in channels:
        if layer.channel_cost <= left:
            left -= layer.channel_cost
            drawn[layer.spec.name].append(channel)
    return drawn


@pytest.mark.parametrize("budget", ["2KiB", "6KiB", "20KiB"])
def test_no_draw_takes_more_words_than_are_planned_for(budget, monkeypatch):
    model, medyate, _ = ready(small_net(), budget)
    training, plan = lower(model, medyate)
    cpp = cpp_sizes(training, plan, factory_copy=True)
    monkeypatch.setattr(journal_module, "_PAGE_WORDS", 1)  # words, not pages
    most = most_run_pages(training, cpp.weight_pages)
    rng = np.random.default_rng(0)
    words = [_packed_words(training, cpp, _draw(training, rng)) for _ in range(200)]
    assert max(words) <= most
    assert max(words) > 0.9 * most, "and hardly less"


def test_runs_where_pages_do_not_fit_and_are_larger():
    model, medyate, _ = ready(small_net(), "2KiB")
    training, plan = lower(model, medyate)
    cpp = dataclasses.replace(
        cpp_sizes(training, plan, factory_copy=False), region=np.zeros(20 * PAGE_WORDS, np.float32)
    )
    importances = cpp.importance_pages
    runs = with_journal(cpp, "runs", training, lambda _: True)
    assert runs.run_pages == most_run_pages(training, 20) == 1
    assert journal_pages(20, importances, 1) == 5 + 2 * importances
    assert with_journal(cpp, "fitting", training, lambda _: True) is cpp
    assert with_journal(cpp, "fitting", training, lambda _: False) == runs
    assert with_journal(cpp, "pages", training, lambda _: False) is cpp
    small = dataclasses.replace(cpp, region=cpp.region[: 2 * PAGE_WORDS])
    assert with_journal(small, "fitting", training, lambda _: False) is small, "pages take less"
    many = dataclasses.replace(cpp, region=np.zeros(170 * PAGE_WORDS, np.float32))
    with pytest.raises(OptionError, match=r"journal: expected runs of fewer weight pages.*170"):
        with_journal(many, "runs", training, lambda _: True)
    assert with_journal(many, "fitting", training, lambda _: False) is many


def test_an_export_with_a_journal_of_runs_says_so(tmp_path):
    model, medyate, _ = ready(small_net(), "2KiB")
    options = md.FirmwareOptions(journal="runs", commits_per_day=1)
    bundle = md.export(model, tmp_path / "runs", medyate, firmware=options)
    firmware = bundle.firmware
    assert firmware.cpp.run_pages == 1
    header = (tmp_path / "runs/cpp/medyate_model.h").read_text()
    assert "kRunPages = 1;" in header
    source = (tmp_path / "runs/cpp/medyate_model.cc").read_text()
    assert "    1,  // pages of packed runs in the journal\n};" in source
    assert "a journal of runs" in str(bundle)
    assert firmware.fit.flash["journal"] == 4096 * journal_pages(0, 1, 1)
    life = flash_life(NANO, 79, 1, 840, run_pages=17)
    # A head, 17 pages of runs, 79 spare ones, importances: 98 erases in 23 pages.
    assert life.commits == (10_000 // 98 - 1) * 23
    assert life.commit_s == pytest.approx(177 * 0.085 + (175 * 1024 + 840 + 256 + 174) * 41e-6)
    with pytest.raises(OptionError, match="journal: expected one of fitting, pages, runs"):
        md.FirmwareOptions(journal="whole")
    with pytest.raises(OptionError, match="journal: expected one of"):
        md.LayersThatFit("nano33ble", journal="whole")


def test_layers_that_fit_count_the_journal_that_is_exported():
    flash = {}
    for journal in ("pages", "runs"):
        limits = md.LayersThatFit("nano33ble", journal=journal, factory_copy=False)
        model, medyate, _ = ready(small_net(), "12KiB", layers=limits)
        flash[journal] = medyate.frontier.best.flash_bytes
    training, plan = lower(model, medyate)
    cpp = cpp_sizes(training, plan, factory_copy=False)
    sizes = (cpp.weight_pages, cpp.importance_pages)
    runs = most_run_pages(training, cpp.weight_pages)
    more = journal_pages(*sizes, runs) - journal_pages(*sizes)
    assert flash["runs"] - flash["pages"] == 4096 * more != 0
