"""Presets are what their papers say, and options are checked."""

import math

import pytest

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.select.strategies import PRESETS, strategy


def test_all_promised_presets_exist_and_explain_themselves():
    promised = {
        "medyate", "medyate-paper", "trady", "su", "velocity", "tinytrain", "d-full-random",
        "s-topk-random", "d-det-rgn", "head", "full",
    }  # fmt: skip
    assert promised <= set(PRESETS)
    assert all(preset.summary for preset in PRESETS.values())


def test_the_published_setting_stays_what_the_paper_says():
    paper = PRESETS["medyate-paper"]
    assert (paper.ranking, paper.importance, paper.weighting) == ("lara", "calibrated", "norm")
    assert paper.sampling == "random"
    assert (paper.sharpness, paper.core, paper.resample_every) == (1, 0.0, "epoch")
    assert not paper.train_bias
    assert (PRESETS["trady"].ranking, PRESETS["trady"].importance) == ("rgn", "equal")
    assert PRESETS["d-full-random"].ranking == "none"
    assert PRESETS["s-topk-random"].draw_number(7) == 0
    assert PRESETS["su"].draw_number(7) == 0


def test_parts_can_be_changed_and_none_keeps_the_preset():
    changed = strategy("trady", sharpness=2, ranking=None, resample_every=3)
    assert (changed.ranking, changed.sharpness) == ("rgn", 2)
    assert [changed.draw_number(epoch) for epoch in range(7)] == [0, 0, 0, 1, 1, 1, 2]


def test_what_a_draw_goes_by_is_said_in_words():
    assert strategy("medyate", sharpness=2).drawn_by == "in proportion to gradient norm^2"
    assert strategy("medyate-paper").drawn_by == "in proportion to gradient norm"
    assert strategy(weighting="rgn", sharpness=0.5).drawn_by.endswith("(gradient norm / cost)^0.5")
    assert strategy("trady").drawn_by == strategy("s-topk-random").drawn_by == "with equal odds"
    assert not any(strategy(name).drawn_by for name in ("head", "full", "greedy", "su"))


def test_wrong_parts_are_refused():
    for options, word in (
        ({"base": "tardy"}, "Did you mean 'trady'"),
        ({"rankin": "lara"}, "Did you mean 'ranking'"),
        ({"trains": "everything"}, "trains: expected channels"),
        ({"ranking": "lora"}, "Did you mean 'lara'"),
        ({"top_k": -3}, "top_k: .*received -3"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 1.2}, "top_k"),
        ({"top_k": True}, "top_k"),
        ({"importance": "known"}, "importance: expected equal"),
        ({"sampling": "weighted"}, "sampling"),
        ({"weighting": "size"}, "weighting"),
        ({"resample_every": 0}, "resample_every"),
        ({"resample_every": True}, "resample_every"),
        ({"resample_every": "week"}, "never"),
        ({"sharpness": 5}, 'sharpness: .*"auto"'),
        ({"importance": "equal"}, 'sharpness: expected a number where importance="equal"'),
        ({"core": 3}, "core: expected a share from 0 to 1; received 3"),
        ({"core": math.nan}, "core"),
        ({"core": "half"}, "core"),
        ({"train_bias": "no"}, "train_bias"),
        ({"name": ""}, "name"),
    ):
        with pytest.raises(errors.OptionError, match=word):
            strategy(**options)


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"head", "full"}))
def test_gradients_are_measured_only_where_they_are_used(name):
    preset = PRESETS[name]
    unused = preset.ranking == "none" and preset.importance in ("equal", "velocity")
    assert preset.needs_gradients == (not unused)
    assert md.MeDyate("1KiB", name).strategy is preset


def test_properties_say_what_a_preset_needs():
    def those(question):
        return {name for name, preset in PRESETS.items() if getattr(preset, question)}

    assert set(PRESETS) - those("needs_budget") == {"head", "full"}
    assert those("trains_all") == {"full"}
    assert those("draws_once") == {"su", "tinytrain", "s-topk-random", "head", "full"}
    equal = {"trady", "d-full-random", "s-topk-random"}
    assert set(PRESETS) - those("by_importance") == equal | {"head", "full"}
    assert set(PRESETS) - those("runs_on_device") == {"velocity", "d-det-rgn"}
    assert those("needs_samples") == {"velocity"}
