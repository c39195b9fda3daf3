"""Presets are what their papers say, and options are checked."""

import math
import pathlib

import pytest

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.select.planner import Planner
from tf_medyate.select.strategies import PRESETS, Strategy, strategy

# The strategies by the papers' names: layers, how many, whose strength, choice, weight, when.
TABLE = {
    "medyate": ("lara", "alpha", "observed", "random", "norm", "epoch"),
    "prev-medyate": ("rgn", "fixed", "observed", "random", "norm", "epoch"),
    "trady": ("rgn", "fixed", "equal", "random", "norm", "epoch"),
    "lara-trady": ("lara", "alpha", "equal", "random", "norm", "epoch"),
    "lara-det-raw": ("lara", "alpha", "oracle", "strongest", "norm", "epoch"),
    "lara-prob-raw": ("lara", "alpha", "oracle", "random", "norm", "epoch"),
    "s-full-random": ("none", "alpha", "equal", "random", "norm", "never"),
    "d-full-random": ("none", "alpha", "equal", "random", "norm", "epoch"),
    "s-det-rgn": ("none", "alpha", "calibrated", "strongest", "rgn", "never"),
    "d-det-rgn": ("none", "alpha", "oracle", "strongest", "rgn", "epoch"),
    "s-topk-random": ("rgn", "fixed", "equal", "random", "norm", "never"),
    "velocity": ("none", "alpha", "velocity", "strongest", "rgn", "epoch"),
    "su": ("none", "alpha", "weights", "scheme", "norm", "never"),
}
OURS = {"medyate-calibrated", "greedy", "su-like", "tinytrain"}


@pytest.mark.parametrize("name", TABLE)
def test_presets_are_what_the_papers_define(name):
    s = PRESETS[name]
    parts = (s.ranking, s.top_k, s.importance, s.sampling, s.weighting, s.resample_every)
    assert parts == TABLE[name]
    assert (s.trains, s.alpha, s.sharpness, s.core, s.refresh) == ("channels", 0.2, 1, 0.0, "mean")
    assert not s.train_bias, "one rule for all rivals"


def test_all_promised_presets_exist_and_explain_themselves():
    assert set(PRESETS) == {*TABLE, *OURS, "head", "full"}
    assert all(preset.summary for preset in PRESETS.values())
    assert Strategy("mine") == strategy("medyate", name="mine", summary="")
    assert strategy("medyate-paper") is PRESETS["medyate"], "its name for a while"


def test_the_documentation_has_a_line_for_each():
    text = (pathlib.Path(__file__).parents[2] / "docs" / "using.md").read_text()
    table = text[text.index("| strategy | |") : text.index("## A loop of your own")]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    assert lines == [f"| `{name}` | {preset.summary} |" for name, preset in PRESETS.items()]


def test_parts_can_be_changed_and_none_keeps_the_preset():
    changed = strategy("trady", sharpness=2, ranking=None, resample_every=3)
    assert (changed.ranking, changed.sharpness) == ("rgn", 2)
    assert [changed.draw_number(epoch) for epoch in range(7)] == [0, 0, 0, 1, 1, 1, 2]


def test_what_a_draw_goes_by_is_said_in_words():
    medyate = strategy("medyate").drawn_by
    assert medyate == "in proportion to gradient norm, at first with equal odds"
    assert strategy("lara-prob-raw").drawn_by == "in proportion to gradient norm"
    changed = strategy("lara-prob-raw", weighting="rgn", sharpness=0.5).drawn_by
    assert changed == "in proportion to (gradient norm / cost)^0.5"
    assert strategy("trady").drawn_by == strategy("s-topk-random").drawn_by == "with equal odds"
    assert not any(strategy(name).drawn_by for name in ("head", "full", "greedy", "su-like"))


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
        ({"top_k": "all"}, 'top_k: expected "alpha", "fixed", a share'),
        ({"alpha": 0}, "alpha: .*published value is 0.2"),
        ({"alpha": True}, "alpha"),
        ({"refresh": "median"}, "refresh: expected mean"),
        ({"importance": "known"}, "importance: expected observed"),
        ({"sampling": "weighted"}, "sampling"),
        ({"weighting": "size"}, "weighting"),
        ({"resample_every": 0}, "resample_every"),
        ({"resample_every": True}, "resample_every"),
        ({"resample_every": "week"}, "never"),
        ({"sharpness": 5}, 'sharpness: .*"auto"'),
        ({"sharpness": "auto"}, 'sharpness: expected a number where importance="observed"'),
        ({"core": 3}, "core: expected a share from 0 to 1; received 3"),
        ({"core": math.nan}, "core"),
        ({"core": "half"}, "core"),
        ({"train_bias": "no"}, "train_bias"),
        ({"name": ""}, "name"),
    ):
        with pytest.raises(errors.OptionError, match=word):
            strategy(**{"base": "medyate"} | options)


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"head", "full"}))
def test_gradients_are_measured_only_where_they_are_used(name):
    preset = PRESETS[name]
    unused = preset.ranking == "none" and preset.importance in ("equal", "velocity", "weights")
    assert preset.needs_gradients == (not unused)
    given = Planner(preset, None, layers=["conv"])
    assert given.needs_gradients == (preset.importance in ("calibrated", "oracle"))
    assert md.MeDyate("1KiB", name).strategy is preset


def test_properties_say_what_a_preset_needs():
    def those(question):
        return {name for name, preset in PRESETS.items() if getattr(preset, question)}

    assert set(PRESETS) - those("needs_budget") == {"head", "full"}
    assert those("trains_all") == {"full"}
    once = {name for name in TABLE if name.startswith("s-")}
    assert those("draws_once") == once | {"su", "su-like", "tinytrain", "head", "full"}
    equal = {name for name, parts in TABLE.items() if parts[2] == "equal"}
    assert set(PRESETS) - those("by_importance") == equal | {"head", "full"}
    oracles = {"lara-det-raw", "lara-prob-raw", "d-det-rgn"}
    assert those("draws_by_gradients") == oracles | OURS | {"s-det-rgn"}
    assert those("needs_samples") == those("draws_neurons") == {"velocity"}
    assert those("takes_scheme") == {"su"}
    assert set(PRESETS) - those("runs_on_device") == oracles | {"velocity", "su"}
    assert not strategy("medyate", refresh="last").runs_on_device
