"""Optimizer slots: counted, found by identity, begun again."""

import keras
import numpy as np
import pytest
from random_models import small_net

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.prepared.slots import Slots, optimizer_costs, renew
from tf_medyate.prepared.update import ChannelUpdater

O = keras.optimizers  # noqa: E741


def variables(*values):
    return [keras.Variable(np.asarray(value, "f")) for value in values]


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (O.SGD(), (0, False)),
        (O.SGD(momentum=0.9), (1, False)),
        (O.SGD(lambda: 0.1, momentum=0.9), (1, False)),
        (O.SGD(O.schedules.ExponentialDecay(0.1, 5, 0.5)), (0, False)),
        (O.Adam(), (2, False)),
        (O.Adam(amsgrad=True), (3, False)),
        (O.Nadam(), (2, False)),
        (O.Ftrl(), (2, False)),
        (O.RMSprop(momentum=0.5, centered=True), (3, False)),
        (O.SGD(gradient_accumulation_steps=4), (0, True)),
        (O.SGD(use_ema=True), (1, False)),
        (None, (0, False)),
    ],
)
def test_optimizer_slots_are_counted(optimizer, expected):
    assert optimizer_costs(optimizer) == expected
    assert optimizer_costs(optimizer, size=7) == expected


class Undescribed(O.SGD):
    def __init__(self, beat):
        super().__init__()
        self.beat = beat


@pytest.mark.parametrize(
    ("optimizer", "word"),
    [
        (lambda: O.Adafactor(), "Adafactor, which keeps others"),
        (lambda: O.LossScaleOptimizer(O.SGD()), "inner optimizer"),
        (lambda: O.SGD(loss_scale_factor=8.0), "loss_scale_factor"),
        (lambda: Undescribed(3), "get_config"),
    ],
)
def test_what_cannot_be_counted_is_refused(optimizer, word):
    with pytest.raises(errors.OptionError, match=word):
        optimizer_costs(optimizer())


def test_slots_belong_to_the_variable_itself_not_to_its_name():
    """`conv/kernel` is a part of `my_conv/kernel`, and some names are the same once joined."""
    with keras.name_scope("a"):
        one = keras.Variable(np.ones(3, "f"), name="b_c")
    with keras.name_scope("a_b"):
        other = keras.Variable(np.full(3, 2.0, "f"), name="c")
    with keras.name_scope("my_a"):
        third = keras.Variable(np.full(3, 3.0, "f"), name="b_c")
    optimizer = O.SGD(momentum=0.9, use_ema=True)
    slots = Slots(optimizer, [one, other, third])
    assert len({id(slot) for trained in (one, other, third) for slot in slots.of(trained)}) == 6
    slots.restart_all()
    for trained in (one, other, third):
        average, momentum = slots.of(trained)
        np.testing.assert_array_equal(average, trained)
        assert not momentum.numpy().any()


def test_layers_whose_names_contain_one_another_keep_their_averages():
    """my_conv's average became the other layer's bias, at the start of the second fit."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(2, 3, name="my_conv")(inputs)
    x = keras.layers.Conv2D(2, 3, name="conv")(x)
    outputs = keras.layers.Dense(2, name="head")(keras.layers.Flatten()(x))
    model = md.prepare(keras.Model(inputs, outputs))
    model.get_layer("my_conv").bias.assign([1.0, 1.0])
    model.get_layer("conv").bias.assign([-1.0, -1.0])
    model.compile(O.SGD(0.0, use_ema=True), "mse", run_eagerly=True)
    x, y = np.ones((4, 6, 6, 2), "f"), np.ones((4, 2), "f")
    for _ in range(2):
        model.fit(
            x, y, verbose=0, callbacks=[md.MeDyate("4KiB", md.strategy(top_k=1.0), verbose=0)]
        )
    np.testing.assert_allclose(model.get_layer("my_conv").bias, 1.0)
    np.testing.assert_allclose(model.get_layer("conv").bias, -1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: O.Adagrad(0.1, initial_accumulator_value=0.3),
        lambda: O.Nadam(0.1),
        lambda: getattr(O, "ScheduleFreeAdamW", O.Adam)(0.1),
        lambda: O.Adam(0.1, use_ema=True, gradient_accumulation_steps=2),
    ],
)
def test_slots_start_where_keras_starts_them(make):
    """After steps and a restart, the optimizer does what a new one does that has counted on."""
    values = [np.arange(1.0, 4), np.array([[0.5, -2.0]])]
    used, fresh = variables(*values), variables(*values)
    one, two = make(), make()
    slots = Slots(one, used)
    for _ in range(2):
        one.apply([0.3 * v.value for v in used], used)
    for variable, value in zip(used, values, strict=True):
        variable.assign(value)
    slots.restart_all()
    Slots(two, fresh)
    two.variables[0].assign(2)
    for optimizer, trained in ((one, used), (two, fresh)):
        for _ in range(2):
            optimizer.apply([0.1 * v.value for v in trained], trained)
    for a, b in zip(used, fresh, strict=True):
        np.testing.assert_array_equal(a, b)


def test_slots_of_the_pool_start_again_with_a_draw():
    model = md.prepare(small_net())
    model.compile(O.Adagrad(0.1, initial_accumulator_value=0.3), "mse")
    updater = ChannelUpdater(model, md.layer_specs(model), ("stem", "body"), train_bias=True)
    updater.attach(500, model.optimizer)
    slot = next(v for v in model.optimizer.variables if v.shape == (500,))
    slot.assign(np.full(500, 7.0))
    updater.load(md.UpdatePlan(4, 0, md.MemoryBudget(9), 0, 0, (md.spec.LayerDraw("stem", (0,)),)))
    np.testing.assert_allclose(slot, 0.3)


def test_averages_of_a_renewed_optimizer_begin_at_the_weights():
    (old,), (new,) = variables([1.0, 2]), variables([3.0, 4, 5])
    optimizer = O.SGD(0.0, use_ema=True, ema_momentum=0.9)
    optimizer.build([old])
    optimizer.apply([old.value], [old])
    renew(optimizer)
    Slots(optimizer, [new])
    optimizer.apply([new.value], [new])
    optimizer.finalize_variable_values([new])
    np.testing.assert_allclose(new, [3, 4, 5], rtol=1e-6)


@pytest.mark.parametrize("steps", [None, 2])
def test_a_built_optimizer_is_renewed_in_place(steps):
    (old,), (new,) = variables([1.0, 2]), variables([3.0, 4, 5])
    rate = 0.25
    optimizer = O.SGD(
        lambda: rate, momentum=0.9, weight_decay=0.5, gradient_accumulation_steps=steps
    )
    optimizer.exclude_from_weight_decay(var_list=[new])
    optimizer.build([old])
    for _ in range(3):
        optimizer.apply([old.value], [old])
    renew(optimizer)
    assert int(optimizer.iterations) == (3 if steps is None else 1)
    rate = 0.5
    Slots(optimizer, [new])
    for _ in range(steps or 1):
        optimizer.apply([np.ones(3, "f")], [new])
    np.testing.assert_allclose(new, np.array([3.0, 4, 5]) - 0.5)  # the new rate, and no decay


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_a_short_batch_is_stepped_by_its_mean(samples):
    (trained,) = variables([1.0, 2])
    optimizer = O.SGD(0.5, momentum=0.9, gradient_accumulation_steps=3)
    slots = Slots(optimizer, [trained])
    gradients = np.arange(1.0, 9).reshape(4, 2).astype("f")[:samples]
    for gradient in gradients:
        optimizer.apply([gradient], [trained])
    slots.apply_short_batch()
    slots.apply_short_batch()  # nothing is left
    wanted, velocity = np.array([1.0, 2]), 0.0
    for batch in (gradients[:3], gradients[3:]):
        if len(batch):
            velocity = 0.9 * velocity - 0.5 * batch.mean(0)
            wanted = wanted + velocity
    np.testing.assert_allclose(trained, wanted, rtol=1e-6)  # a dozen roundings
    assert int(optimizer.iterations) == (2 if samples == 4 else 1)
