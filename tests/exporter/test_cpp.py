"""The exported step as C++: the static runner gives TFLM's bits, on host and Cortex-M4F."""

import dataclasses
import functools
import subprocess
from typing import Any

import keras
import make_static_model
import numpy as np
import pytest
from cases import SGD, Case, kept_net, make_case
from cpp_build import CORTEX_M4F, HOST, Toolchain, symbol, undefined_symbols
from cpp_training import Exported, assert_as_in_tflm, export_both, read_output
from exported import attached
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_model

from tf_medyate.errors import OptionError, PlanError
from tf_medyate.exporter.memory.planner import plan_memory
from tf_medyate.exporter.write.cpp import write_cpp
from tf_medyate.exporter.write.cpp_text import cpp_float
from tf_medyate.spec import FLASH_PAGE_BYTES

pytestmark = pytest.mark.usefixtures("quick_export")

SAMPLES = 100


def cosine(**options):
    schedule: Any = keras.optimizers.schedules.CosineDecay(
        0.01, 700, alpha=0.1, warmup_target=0.05, warmup_steps=90
    )
    return SGD(schedule, **options)


# Convolutions and pooling; depthwise-separable; residual with concatenation and pooling.
CASES = {
    "plain": {"net": "plain"},
    "separable": {
        "net": "separable",
        # 100 samples are 33 batches and a short one.
        "optimizer": lambda: cosine(momentum=0.5, gradient_accumulation_steps=3),
        "budget": "8KiB",
        "resample_every": 2,
    },
    "residual": {
        "net": "residual",
        "optimizer": lambda: cosine(gradient_accumulation_steps=4, global_clipnorm=0.5),
        "budget": "8KiB",
    },
    "targets": {
        "net": "separable",
        "loss": keras.losses.Huber,
        "strategy": "trady",
        "optimizer": lambda: keras.optimizers.AdamW(0.003),
        "budget": "12KiB",
    },
    "shares": {
        "net": "shares",
        "optimizer": lambda: keras.optimizers.Adam(
            0.003, gradient_accumulation_steps=3, clipvalue=0.05
        ),
        "budget": "16KiB",
    },
    "kept": {"net": kept_net, "optimizer": lambda: SGD(0.01), "strategy": "d-full-random"},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function that exports a case once, as a bundle and as C++."""
    done = {}

    def export(name: str) -> Exported:
        if name not in done:
            options = dict(CASES[name])
            for made in ("optimizer", "loss"):
                if made in options:
                    options[made] = options[made]()
            case = make_case(samples=SAMPLES, **options)
            done[name] = export_both(case, tmp_path_factory.mktemp(name))
        return done[name]

    return export


# 1,000 steps, 200 with a draw between, 100
EPOCHS = {"plain": 10, "separable": 10, "residual": 10, "targets": 2, "shares": 1, "kept": 1}


def written(exported: Exported, toolchain: Toolchain, epochs: int) -> bytes:
    program = toolchain.program(exported.cpp.folder, toolchain.library())
    return toolchain.output(program, exported.input(epochs))


@pytest.fixture(scope="module")
def on_host(exported):
    """A function that trains a case on the host once."""
    return functools.cache(lambda name: written(exported(name), HOST, EPOCHS[name]))


@pytest.mark.parametrize("name", EPOCHS)
def test_the_host_gives_the_bits_of_tflm(name, exported, on_host):
    output = read_output(on_host(name), exported(name), EPOCHS[name])
    trainer = assert_as_in_tflm(output, exported(name))
    assert trainer.samples == SAMPLES * EPOCHS[name]
    if EPOCHS[name] > 1:
        first, last = output.epochs[0], output.epochs[-1]
        assert not np.array_equal(first.selection, last.selection), "channels are redrawn"
        assert last.losses.mean() < first.losses.mean(), "it learns"


@pytest.mark.parametrize("seed", range(3))
def test_random_nets_give_the_bits_of_tflm(seed, tmp_path):
    model, medyate, x, y = attached(random_model(seed), seed)
    model.compile(SGD(0.01), model.loss)  # small enough to stay finite
    exported = export_both(Case(model, medyate, x, y), tmp_path)
    output = read_output(written(exported, HOST, 5), exported, 5)
    assert_as_in_tflm(output, exported)


@pytest.mark.parametrize("name", EPOCHS)
def test_a_cortex_m4f_gives_the_bits_of_the_host(name, exported, on_host):
    CORTEX_M4F.require()
    assert written(exported(name), CORTEX_M4F, EPOCHS[name]) == on_host(name)


def test_the_learning_rate_is_keras_own(exported, on_host):
    what = exported("separable")
    output = read_output(on_host("separable"), what, EPOCHS["separable"])
    schedule = what.case.model.optimizer._learning_rate
    steps = range(0, 1001, 51)  # 34 batches of 3 an epoch: begin and middle of each
    wanted = [float(schedule(step)) for step in steps]
    got = [output.rate(step) for step in steps]
    # schedule.h promises 2e-7 of the peak, 0.05; Keras rounds about as often.
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-8)


def test_on_a_cortex_m4f_nothing_needs_a_heap_or_the_c_library_beyond_memory():
    CORTEX_M4F.require()
    needed = undefined_symbols(CORTEX_M4F.library(), "arm-none-eabi-nm")
    # The compiler's own arithmetic on 64-bit integers is welcome; that on doubles is not.
    assert needed <= {"memcpy", "memset", "memmove", "__aeabi_uldivmod", "__aeabi_ul2f"}, needed


def test_the_weights_region_is_a_section_of_whole_pages(exported):
    CORTEX_M4F.require()
    what = exported("residual")
    program = CORTEX_M4F.program(what.cpp.folder, CORTEX_M4F.library())
    start, size = symbol(program, "arm-none-eabi-nm", "medyate_model::kWeights")
    assert start % FLASH_PAGE_BYTES == 0
    assert size == what.cpp.weight_pages * FLASH_PAGE_BYTES
    model, _ = symbol(program, "arm-none-eabi-nm", "medyate_model::kModel")
    assert model < 1 << 20, "in flash, as link.ld has it"


# --- what is written


def test_trained_weights_lie_alone_in_whole_pages(exported):
    what = exported("residual")
    graph, layout = what.training.graph, what.training.layout
    assert what.cpp.weights_floats % (FLASH_PAGE_BYTES // 4) == 0
    ends = 0
    for name, start in what.cpp.weights.items():
        assert start >= ends, "one after the other"
        assert start % 4 == 0, "16-byte aligned"
        ends = start + graph.tensor(name).elements
    assert 0 <= what.cpp.weights_floats - ends < FLASH_PAGE_BYTES // 4
    wanted = {what.training.weights[layer.spec.name] for layer in layout.layers}
    assert wanted <= set(what.cpp.weights)


def test_the_same_model_gives_the_same_bytes_and_another_another_hash(exported, tmp_path):
    what, other = exported("plain"), exported("residual")
    plan = plan_memory(what.training.graph, what.training.in_place)
    again = write_cpp(what.training, plan, tmp_path)
    assert again.model_hash == what.cpp.model_hash != other.cpp.model_hash
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (what.cpp.folder / path.name).read_bytes()
    assert "arena" in str(again)


def test_the_model_of_the_cpp_tests_is_what_is_written_today(tmp_path):
    make_static_model.write(tmp_path)
    for path in tmp_path.iterdir():
        golden = make_static_model.FOLDER / path.name
        assert path.read_text() == golden.read_text(), f"run {make_static_model.__file__}"


@given(st.integers(0, 2**32 - 1))
def test_a_float_is_written_exactly(bits):
    value = np.array([bits], np.uint32).view(np.float32)[0]
    if not np.isfinite(value):
        return
    text = cpp_float(value)
    assert text.endswith("f"), "not a double"
    assert {".", "e"} & set(text), "not an integer"
    assert np.float32(text[:-1]).tobytes() == value.tobytes()


def test_what_a_device_cannot_do_is_refused(exported, tmp_path):
    what = exported("plain")
    training = what.training
    plan = plan_memory(training.graph, training.in_place)
    other = exported("residual").training
    with pytest.raises(PlanError, match="memory_plan: expected a memory plan of graph"):
        write_cpp(other, plan, tmp_path)
    decay = {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}
    step_wise = {"class_name": "ExponentialDecay", "config": decay}
    optimizer = dataclasses.replace(training.recipe.optimizer, learning_rate=step_wise)
    recipe = dataclasses.replace(training.recipe, optimizer=optimizer)
    with pytest.raises(OptionError, match=r"learning_rate: expected a number, or .*CosineDecay"):
        write_cpp(dataclasses.replace(training, recipe=recipe), plan, tmp_path)


@pytest.mark.parametrize(
    ("op", "linked", "others"),
    [
        (
            "Tanh",
            "TanhForward",
            ("SigmoidForward", "TanhBackward", "SoftmaxOptions", "BroadcastShape", "Conv2d"),
        ),
        ("DenseUpdate", "SgdStep", ("Adam",)),
        ("DenseAdam", "AdamStep", ("SgdStep",)),
    ],
)
def test_a_board_links_only_the_ops_that_it_registers(op, linked, others, tmp_path):
    CORTEX_M4F.require()
    (tmp_path / "main.cc").write_text(
        '#include "tflm_ops/kernels/ops.h"\n'
        f"int main() {{ return medyate::Register{op}().custom_name[0]; }}\n"
    )
    archive = CORTEX_M4F.library()
    CORTEX_M4F.compile(["main.cc", str(archive), *CORTEX_M4F.link, "-o", "main.elf"], tmp_path)
    listed = subprocess.run(
        ["arm-none-eabi-nm", "-C", "main.elf"], cwd=tmp_path, capture_output=True, text=True
    ).stdout
    assert f"medyate::Register{op}" in listed
    assert f"medyate::math::{linked}" in listed
    for other in others:
        assert other not in listed, other
