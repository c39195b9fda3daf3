"""What a user does between fits: compile, freeze, rename; the promises hold all the same."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tf_medyate as md
from tf_medyate.prepared.layers import masked_layers

L = keras.layers
BUDGET = 2048
HIDDEN = ("first", "second", "third")
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.05),
    "averaging": lambda: keras.optimizers.Adam(0.05, use_ema=True),
    "accumulating": lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=2),
}


def tiny():
    """Three dense layers that are drawn from, and a head; no step is traced, so fits are quick."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((9,))
    x = inputs
    for name in HIDDEN:
        x = L.Dense(10, activation="relu", name=name)(x)
    return md.prepare(keras.Model(inputs, L.Dense(3, activation="softmax", name="head")(x)))


def compile_(model, optimizer="sgd", loss="sparse_categorical_crossentropy"):
    model.compile(OPTIMIZERS[optimizer](), loss, run_eagerly=True)


def data(samples=16):
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, 9)).astype("f"), rng.integers(0, 3, samples)


def own_slots(optimizer, size):
    """The optimizer's variables of the pool's size; the layers' own variables have others."""
    return [v.numpy() for v in optimizer.variables if v.shape == (size,)]


class Watch(keras.callbacks.Callback):
    """The promises of one fit, checked from outside: bytes, slots, frozen bits."""

    def __init__(self, medyate):
        super().__init__()
        self.medyate = medyate

    def kernels(self):
        self.model.commit()
        return {layer.name: layer.get_weights()[:2] for layer in masked_layers(self.model)}

    def on_epoch_begin(self, epoch, logs=None):
        self.before = self.kernels()
        pool = self.model.training_state.pool
        for slot in [] if pool is None else own_slots(self.model.optimizer, pool.shape[0]):
            average = np.array_equal(slot, pool.numpy())  # of weights: it begins at the weights
            assert not slot.any() or average, "every epoch draws, and a draw begins the slots again"

    def on_epoch_end(self, epoch, logs=None):
        plan, model = self.medyate.plan, self.model
        assert self.bytes_used(plan) <= plan.used <= plan.budget.amount == BUDGET
        after = self.kernels()
        for layer in masked_layers(model):
            (old, *old_bias), (new, *new_bias) = self.before[layer.name], after[layer.name]
            free = np.zeros(len(old), bool)
            free[list(plan.channels_of(layer.name))] = True
            if layer.name == "head":
                free[:] = True
            free &= layer.trainable
            np.testing.assert_array_equal(new[~free], old[~free])
            if not layer.trainable:
                np.testing.assert_array_equal(new_bias, old_bias)

    def bytes_used(self, plan):
        """What a device needs for exactly what this optimizer keeps of what is trained."""
        model = self.model
        trained = {v.path: v.shape for v in model.trainable_variables}
        pool = model.training_state.pool
        weights = activations = 0
        if pool is not None:
            del trained[pool.path]
            for draw in plan.layers:
                weights += len(draw.channels) * model.get_layer(draw.layer).kernel.shape[1]
                activations += len(draw.channels)
        if model.get_layer("head").trainable:
            activations += model.get_layer("head").kernel.shape[0]
        weights += sum(int(np.prod(shape)) for shape in trained.values())
        kept = sum(v.shape != () for v in model.optimizer.variables)
        each = kept // len(model.trainable_variables)
        return 4 * (weights * (1 + each) + activations)


actions = st.one_of(
    st.tuples(st.just("compile"), st.sampled_from(sorted(OPTIMIZERS))),
    st.tuples(st.just("freeze"), st.sampled_from(HIDDEN)),
    st.tuples(st.just("unfreeze"), st.sampled_from(HIDDEN)),
    st.tuples(st.just("fit"), st.just(2)),
)


@settings(max_examples=6)
@given(st.lists(actions, min_size=3, max_size=7))
def test_the_promises_hold_whatever_is_compiled_and_frozen_between_fits(sequence):
    model, (x, y) = tiny(), data()
    compile_(model)
    medyate = md.MeDyate(BUDGET, verbose=0)
    for action, value in [*sequence, ("fit", 2)]:
        if action == "compile":
            compile_(model, value)
        elif action == "fit":
            model.fit(
                x, y, batch_size=8, epochs=value, verbose=0, callbacks=[medyate, Watch(medyate)]
            )
        elif action == "freeze" and sum(model.get_layer(n).trainable for n in HIDDEN) > 1:
            model.get_layer(value).trainable = False
        elif action == "unfreeze":
            model.get_layer(value).trainable = True


def test_another_optimizer_loss_or_layer_set_starts_the_callback_anew():
    model, (x, y) = tiny(), data()
    compile_(model)
    medyate = md.MeDyate(BUDGET, verbose=0)

    def epochs():
        model.fit(x, y, epochs=1, verbose=0, callbacks=[medyate, Watch(medyate)])
        return len(medyate.report().epochs)

    assert (epochs(), epochs()) == (1, 2), "nothing has changed: it goes on"
    compile_(model, "adam")
    assert epochs() == 1
    assert medyate.cost.optimizer_slots == 2
    model.compile(model.optimizer, "sparse_categorical_crossentropy", loss_weights=[2.0])
    model.run_eagerly = True
    assert epochs() == 1
    model.get_layer("second").trainable = False
    assert epochs() == 1
    assert "second" not in medyate.report().candidates
    model.get_layer("first").name = "renamed"
    assert epochs() == 1
    assert medyate.specs[0].name == "renamed"
    model.get_layer("second").trainable = True
    assert epochs() == 1
    assert "second" in medyate.report().candidates
    assert epochs() == 2


def test_a_second_fit_counts_on_and_draws_other_channels():
    model, (x, y) = tiny(), data()
    compile_(model)
    medyate = md.MeDyate(BUDGET, verbose=0)
    for _ in range(3):
        model.fit(x, y, epochs=2, verbose=0, callbacks=[medyate])
    records = medyate.report().epochs
    assert [record.epoch for record in records] == list(range(6))
    assert [record.plan.draw for record in records] == list(range(6))
