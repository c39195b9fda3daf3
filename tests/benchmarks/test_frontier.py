"""The frontier of accuracy and memory, on a net of seconds."""

import csv
import dataclasses

import pytest

from benchmarks import frontier
from tf_medyate.bench.plan.grid import layers_of, preset_of, split_strategies
from tf_medyate.bench.plan.suites import get_suite
from tf_medyate.bench.run.store import Store
from tf_medyate.errors import OptionError
from tf_medyate.prepared.folding import layer_specs
from tf_medyate.zoo.registry import get_network


def test_a_later_first_layer_takes_less_memory(tmp_path):
    case = get_suite("smoke").cases[0]
    recipe = dataclasses.replace(case.recipe, pretrain_epochs=0, epochs=1, warmup=0)
    case = dataclasses.replace(case, recipe=recipe)
    store = Store(tmp_path)
    planned = frontier.measure(case, (0, 8, 99), [], store)
    assert [row["runs"] for row in planned] == [0, 0]
    frontier.write(planned, tmp_path / "plans.csv", tmp_path / "plans.png")
    rows = frontier.measure(case, (0, 8), [0], store)
    assert frontier.measure(case, (0, 8), [], store) == rows
    assert [row["first_layer"] for row in rows] == [0, 8]
    assert all(row["shallowest"] >= row["first_layer"] and row["layers"] > 0 for row in rows)
    arena = [row["arena_kib_float32"] for row in rows]
    assert arena == sorted(arena, reverse=True)
    assert arena[0] > arena[-1] + 1
    assert all(row["runs"] == 1 and 0 <= row["accuracy"] <= 100 for row in rows)
    frontier.write(rows, tmp_path / "docs" / "x.csv", tmp_path / "docs" / "x.png")
    with (tmp_path / "docs" / "x.csv").open() as file:
        assert [int(row["first_layer"]) for row in csv.DictReader(file)] == [0, 8]
    assert (tmp_path / "docs" / "x.png").read_bytes().startswith(b"\x89PNG")
    assert frontier.table(rows).count("\n") == 3


def test_first_layer_is_an_option_of_a_run():
    specs = layer_specs(get_network("ds_cnn").build((49, 10, 1), 3))
    assert split_strategies("medyate:first_layer=8,trady") == ["medyate:first_layer=8", "trady"]
    assert preset_of("medyate:first_layer=8") == preset_of("medyate")
    assert layers_of("medyate:first_layer=8", specs) == [spec.name for spec in specs[8:-1]]
    assert layers_of("medyate", specs) is None
    for wrong in ("9", "-1", "x", "1.5"):
        with pytest.raises(OptionError, match=r"first_layer.*0 to 8"):
            layers_of(f"medyate:first_layer={wrong}", specs)
