"""Budgets as people write them, and values that print themselves."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_medyate import errors
from tf_medyate.spec import LayerDraw, LayerRanking, LayerSpec, MemoryBudget, UpdatePlan


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("64KiB", 65536, "bytes"),
        ("64 kib", 65536, "bytes"),
        ("100kB", 100_000, "bytes"),
        ("1.5KiB", 1536, "bytes"),
        ("1MiB", 1 << 20, "bytes"),
        ("2 MB", 2_000_000, "bytes"),
        ("512", 512, "bytes"),
        ("512 B", 512, "bytes"),
        ("27946 elements", 27946, "elements"),
        ("27,946 elements", 27946, "elements"),
        ("22410 weights", 22410, "weights"),
        (4096, 4096, "bytes"),
        (MemoryBudget(7, "elements"), 7, "elements"),
    ],
)
def test_budgets_are_read(text, amount, unit):
    assert MemoryBudget.parse(text) == MemoryBudget(amount, unit)


@pytest.mark.parametrize(
    "text",
    ["", "KiB", "64 parsecs", "64 KiB of RAM", "0", "-4KiB", 0, -1, 1.5, None, True, "0.5 B", []],
)
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(errors.BudgetError) as caught:
        MemoryBudget.parse(text)
    assert "64KiB" in str(caught.value)
    with pytest.raises(errors.BudgetError, match="unit"):
        MemoryBudget(5, "bits")


@given(st.integers(1, 2**40))
def test_a_printed_number_of_bytes_is_read_back(amount):
    assert MemoryBudget.parse(f"{amount:,} bytes").amount == amount


def test_values_print_themselves():
    assert str(MemoryBudget(8192)) == "8 KiB (8,192 bytes)"
    assert str(MemoryBudget(900)) == "900 bytes"
    assert str(MemoryBudget(27946, "elements")) == "27,946 elements"
    spec = LayerSpec("conv", "conv2d", 0, 3, 8, 72, 64, 8, 1000, (3, 3), (), True)
    assert "3x3" in str(spec)
    assert str(spec).endswith("head")
    assert spec.weight_elements == 216
    plan = UpdatePlan(2, 0, MemoryBudget(8192), 100, 900, (LayerDraw("conv", (0, 2)),))
    assert str(plan) == (
        "draw 2: 2 channels in 1 layers, 1,000 bytes of 8 KiB (head and biases 100 bytes)"
    )
    assert plan.channels_of("conv") == (0, 2)
    assert plan.channels_of("other") == ()
    ranking = LayerRanking("lara", ("a", "b"), (3.0, 1.0), ("a",))
    assert ranking.covered == 0.75
    assert LayerRanking("lara", (), (), ()).covered == 1.0


def test_errors_survive_pickling_and_say_all_four_things():
    error = errors.UnknownLayerError("layers", "a name", "'x'", "Correct it.")
    twin = pickle.loads(pickle.dumps(error))
    assert str(twin) == str(error) == "layers: expected a name; received 'x'. Correct it."
    assert (twin.argument, twin.remedy) == ("layers", "Correct it.")
