"""`md.export` of a bare UpdatePlan: it trains what the plan names, for good."""

import dataclasses

import keras
import numpy as np
import pytest
from cases import make_case

import tf_medyate as md
from tf_medyate.errors import OptionError, PlanError

pytestmark = pytest.mark.usefixtures("quick_export")

STEPS = 12
BIASED = md.strategy("su-like", train_bias=True)


def learn(bundle, x, y):
    """Losses of two epochs, the weights after them, and the plan in force."""
    trainer = md.simulate.TFLMTrainer(bundle)
    losses = []
    for start in (0, STEPS):
        losses += [
            trainer.step(*pair) for pair in zip(x[start:][:STEPS], y[start:][:STEPS], strict=True)
        ]
        trainer.end_epoch()
    return losses, trainer.weights(), trainer.plan


@pytest.mark.parametrize(
    ("net", "budget", "options"),
    [
        ("residual", "5KiB", {"strategy": "su-like"}),
        ("plain", "1500 elements", {"strategy": "s-full-random"}),
        ("separable", None, {"strategy": "head"}),
        ("plain", None, {"strategy": "full"}),
        ("plain", "7KiB", {"strategy": BIASED, "layers": ["conv2d_1"]}),
    ],
)
def test_a_plan_trains_as_the_callback_that_drew_it(net, budget, options, tmp_path):
    keras.backend.clear_session()  # for the layer's name
    case = make_case(net, budget=budget, **options)
    case.medyate.begin_epoch()
    plan = case.medyate.plan
    mine = md.export(case.model, tmp_path / "callback", case.medyate)
    theirs = md.export(case.model, tmp_path / "plan", plan)
    losses, weights, drawn = learn(mine, case.x, case.y)
    same, alike, fixed = learn(theirs, case.x, case.y)
    assert losses == same
    for name, (kernel, bias) in weights.items():
        np.testing.assert_array_equal(kernel, alike[name][0])
        np.testing.assert_array_equal(bias, alike[name][1])
    assert fixed.layers == drawn.layers
    assert theirs.manifest.sampler.epochs_per_draw == 0
    assert str(md.check_export(case.model, plan)).startswith("can be exported: arena")


def test_a_plan_of_sample_channels_is_not_drawn_again(tmp_path):
    case = make_case("plain")
    specs = md.layer_specs(case.model)
    plan = md.sample_channels(specs, {}, "5KiB", weighting="uniform", seed=3, draw=2)
    _, weights, fixed = learn(md.export(case.model, tmp_path, plan), case.x, case.y)
    assert (fixed.layers, fixed.draw, fixed.seed) == (plan.layers, 2, 3)
    for spec in specs:
        kernel = case.model.get_layer(spec.name).kernel.numpy()
        axis = 2 if kernel.ndim == 4 else 0
        moved = (kernel != weights[spec.name][0]).any(axis=tuple(set(range(kernel.ndim)) - {axis}))
        drawn = plan.channels_of(spec.name)
        assert spec.is_head or set(np.flatnonzero(moved)) <= set(drawn)


def test_a_plan_of_something_else_is_refused():
    case = make_case("plain")
    case.medyate.begin_epoch()
    model, plan = case.model, case.medyate.plan
    layer, *others = plan.layers
    head = md.layer_specs(model)[-1]

    def refused(message, *layers, **changes):
        wrong = dataclasses.replace(plan, layers=layers or plan.layers, **changes)
        with pytest.raises(PlanError, match=message):
            md.check_export(model, wrong)

    refused("trainable layers", dataclasses.replace(layer, layer="other"), *others)
    refused("each once", dataclasses.replace(layer, channels=(0, 99)), *others)
    refused("each once", dataclasses.replace(layer, channels=(0, 0)), *others)
    refused("each layer once", *plan.layers, layer)
    refused("all .a head", *plan.layers, md.spec.LayerDraw(head.name, (0,)))
    refused("counts", drawn=plan.drawn + 4)
    refused("own budget", budget=md.MemoryBudget(plan.used - 1))
    refused("in bytes or elements", budget=md.MemoryBudget(10**6, "weights"))
    refused("31 bits", draw=2**31)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), model.loss)
    refused("optimizer_slots=1")
    with pytest.raises(OptionError, match="an UpdatePlan"):
        md.check_export(model, "8KiB")
