"""What a user does between fits: compile, freeze, rename; the promises hold all the same."""

import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import tf_medyate as md
from tf_medyate import errors
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
    "nadam": lambda: keras.optimizers.Nadam(0.05),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.05, momentum=0.5, centered=True),
    "scheduled": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 20)),
}


def tiny():
    """Three dense layers that are drawn from, and a head; no step is traced, so fits are quick."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((9,))
    x = inputs
    for name in HIDDEN:
        x = L.Dense(16, activation="relu", name=name)(x)
    return md.prepare(keras.Model(inputs, L.Dense(3, activation="softmax", name="head")(x)))


@keras.saving.register_keras_serializable("tests")
def own_loss(targets, outputs):
    return keras.losses.sparse_categorical_crossentropy(targets, outputs) + 0.1


SPARSE = "sparse_categorical_crossentropy"
LOSSES = {
    "plain": {"loss": SPARSE},
    "list": {"loss": [SPARSE], "loss_weights": [2.0], "metrics": ["accuracy"]},
    "dict": {"loss": {"head": keras.losses.SparseCategoricalCrossentropy(name="mse")}},
    "sum": {"loss": keras.losses.SparseCategoricalCrossentropy(reduction="sum")},
    "own": {"loss": own_loss, "weighted_metrics": ["accuracy"]},
}


def compile_(model, optimizer="sgd", loss=SPARSE):
    arguments = LOSSES[loss] if isinstance(loss, str) and loss in LOSSES else {"loss": loss}
    model.compile(OPTIMIZERS[optimizer](), **arguments, run_eagerly=True)


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


layers = st.sampled_from(HIDDEN)
actions = st.one_of(
    st.tuples(
        st.just("compile"), st.sampled_from(list(OPTIMIZERS)[:5]), st.sampled_from(list(LOSSES))
    ),
    st.tuples(st.sampled_from(["freeze", "unfreeze"]), layers),
    st.sampled_from([("fit",), ("reload",)]),
)


@settings(max_examples=6)
@given(st.lists(actions, min_size=4, max_size=8))
def test_the_promises_hold_whatever_happens_between_fits(sequence):
    """Compiled, frozen, made trainable, fitted, saved and loaded in any order."""
    model, (x, y) = tiny(), data()
    compile_(model)
    medyate = md.MeDyate(BUDGET, verbose=0)
    for action, *values in [*sequence, ("fit",)]:
        if action == "compile":
            compile_(model, *values)
        elif action == "fit":
            callbacks = [medyate, Watch(medyate)]
            model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
        elif action == "reload":
            before = model
            with tempfile.TemporaryDirectory() as folder:
                model.save(f"{folder}/model.keras")
                model = keras.models.load_model(f"{folder}/model.keras")
                model.run_eagerly = True
            np.testing.assert_array_equal(model(x), before(x))
        elif action == "unfreeze":
            model.get_layer(*values).trainable = True
        elif sum(model.get_layer(name).trainable for name in HIDDEN) > 1:
            model.get_layer(*values).trainable = False


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


class Rows(keras.utils.PyDataset):
    """Batches of arrays, in order."""

    def __init__(self, *arrays):
        super().__init__()
        self._arrays = arrays

    def __len__(self):
        return len(self._arrays[0]) // 8

    def __getitem__(self, index):
        return tuple(a[8 * index : 8 * index + 8] for a in self._arrays)


LABELS = np.tile([0, 1, 2, 0], 6)
UNTRAINED = {
    "validation_split": (lambda x, y: (x, y), {"validation_split": 0.25}, np.arange(24) >= 18),
    "sample_weight": (lambda x, y: (x, y), {"sample_weight": 1.0 * (LABELS != 1)}, LABELS == 1),
    "class_weight": (lambda x, y: (x, y), {"class_weight": {0: 2.0, 2: 0.0}}, LABELS == 2),
    "one_hot": (
        lambda x, y: (x, np.eye(3, dtype="f")[y]),
        {"class_weight": {1: 0.0}},
        LABELS == 1,
    ),
    "steps": (
        lambda x, y: (x, y),
        {"steps_per_epoch": 1, "shuffle": False},
        np.arange(24) >= 16,
    ),
    "dataset": (
        lambda x, y: (tf.data.Dataset.from_tensor_slices((x, y)).batch(8),),
        {"class_weight": {0: 1.0, 1: 0.0, 2: 1.0}},
        LABELS == 1,
    ),
    "dataset_steps": (
        lambda x, y: (tf.data.Dataset.from_tensor_slices((x, y)).batch(8),),
        {"steps_per_epoch": 1},
        np.arange(24) >= 16,
    ),
    "pydataset": (lambda x, y: (Rows(x, y, 1.0 * (LABELS == 0)),), {"shuffle": False}, LABELS > 0),
    "calibration": (
        lambda x, y: (x, y),
        {"class_weight": {1: 0.0}, "calibration": True},
        LABELS == 1,
    ),
}


@pytest.mark.parametrize(
    ("strategy", "way"),
    [*(("medyate", way) for way in UNTRAINED), ("velocity", "validation_split")],
)
def test_samples_that_keras_never_trains_on_change_no_draw(way, strategy):
    arguments, options, untrained = UNTRAINED[way]
    x, _ = data(24)
    moved = np.where(untrained[:, None], 3 - 2 * x, x)
    found = []
    for inputs in (x, moved):
        model, more = tiny(), dict(options)
        compile_(model, loss=("sparse_" if way != "one_hot" else "") + "categorical_crossentropy")
        own = (inputs, LABELS) if more.pop("calibration", False) else None
        medyate = md.MeDyate(BUDGET, strategy, calibration=own, verbose=0)
        given = arguments(inputs, LABELS)
        if len(given) == 2:
            more["batch_size"] = 8
        model.fit(*given, epochs=2, verbose=0, callbacks=[medyate], **more)
        plans = [record.plan.layers for record in medyate.report().epochs]
        found.append((medyate.ranking.scores, plans, model.get_weights()))
    (scores, plans, weights), (others, other_plans, other_weights) = found
    assert plans == other_plans
    assert scores == others
    for a, b in zip(weights, other_weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_of_samples_weigh_in_the_calibration():
    model, (x, y) = tiny(), data()
    compile_(model)
    batches = [(x, y), (x, y, np.full(16, 3.0, "f"))]
    plain, weighted = (md.measure_gradients(model, [batch]) for batch in batches)
    own = keras.losses.SparseCategoricalCrossentropy(reduction="none")
    for found in (weighted, md.measure_gradients(model, [batches[1]], loss=own)):
        for name, norms in plain.norm.items():
            np.testing.assert_allclose(found.norm[name], 3 * norms, rtol=1e-5)
    with pytest.raises(errors.OptionError, match=r"value for each sample.*reduction"):
        md.measure_gradients(model, [batches[1]], loss=keras.losses.MeanSquaredError())


def test_the_fifth_callback_retraces_nothing(caplog):
    (x, y), model = data(9), tiny()
    compile_(model)
    for strategy in ("medyate", "velocity") * 3:
        md.MeDyate(BUDGET, strategy, calibration=(x, y, 4), verbose=0).set_model(model)
    assert "retracing" not in caplog.text


@pytest.mark.parametrize("strategy", ["medyate", "head", "full"])
def test_a_model_that_is_all_frozen_is_refused_before_it_trains(strategy):
    model, (x, y) = tiny(), data()
    model.trainable = False
    compile_(model)
    medyate = md.MeDyate(None if strategy != "medyate" else BUDGET, strategy, verbose=0)
    with pytest.raises(errors.OptionError, match=r"may be trained.*'head'.*all frozen.*trainable"):
        model.fit(x, y, verbose=0, callbacks=[medyate])
    assert model.training_state.pool is None


def test_a_budget_that_is_too_small_advises_only_what_there_is():
    model, (x, y) = tiny(), data()
    compile_(model)
    head = md.CostModel().fixed(md.layer_specs(model), ())
    for budget, strategy, said in (
        (head, "medyate", 'train the head alone: strategy="head"'),
        (head - 1, "medyate", f"The head alone needs {head} bytes: raise the budget"),
        (head - 1, "head", f"The head alone needs {head} bytes: raise the budget"),
    ):
        with pytest.raises(errors.BudgetTooSmallError, match=said) as caught:
            model.fit(x, y, verbose=0, callbacks=[md.MeDyate(budget, strategy, verbose=0)])
        assert "allow_empty" not in str(caught.value)
        assert ("strategy=" in str(caught.value)) == (budget == head)
    model.fit(x, y, verbose=0, callbacks=[md.MeDyate(head, "head", verbose=0)])


def test_loss_and_optimizer_of_an_own_loop_are_checked():
    for wrong in ({"loss": "mse"}, {"optimizer": "sgd"}):
        with pytest.raises(errors.OptionError, match="for example keras"):
            md.MeDyate(BUDGET, **wrong)
    model, (x, y) = tiny(), data()
    compile_(model)
    medyate = md.MeDyate(BUDGET, optimizer=keras.optimizers.Adam(), verbose=0)
    with pytest.raises(errors.OptionError, match="compiled with"):
        model.fit(x, y, verbose=0, callbacks=[medyate])


def test_a_built_optimizer_goes_on_in_an_own_loop():
    """It is renewed in place: the loop's own object knows the pool."""
    model, (x, y) = tiny(), data()
    optimizer = keras.optimizers.Adam(0.05, gradient_accumulation_steps=2)
    loss = keras.losses.SparseCategoricalCrossentropy()
    optimizer.build(model.trainable_variables)
    medyate = md.MeDyate(BUDGET, calibration=(x, y), loss=loss, optimizer=optimizer, verbose=0)
    for frozen in ("first", "second"):
        model.get_layer(frozen).trainable = False
        medyate.set_model(model)
        medyate.begin_epoch()
        before = model.get_layer("head").kernel.numpy()
        for _ in range(2):
            with tf.GradientTape() as tape:
                value = loss(y, model(x, training=True))
            gradients = tape.gradient(value, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        medyate.end_epoch()
        assert (model.get_layer("head").kernel.numpy() != before).any()
    assert int(optimizer.iterations) == 2


def test_labels_are_checked_however_the_loss_is_given():
    x, y = data()
    for loss in (
        ["sparse_categorical_crossentropy"],
        {"head": keras.losses.SparseCategoricalCrossentropy()},
        keras.losses.sparse_categorical_crossentropy,
    ):
        model = tiny()
        compile_(model, loss=loss)
        with pytest.raises(errors.LabelError, match="from 0 to 2"):
            model.fit(x, y + 1, verbose=0)


def same_state(left, right):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


# Without draws slots differ no further than these two.
SAVED = [("medyate", name) for name in OPTIMIZERS]
SAVED += [(name, other) for name in ("head", "full") for other in ("adam", "accumulating")]


@pytest.mark.parametrize(("strategy", "optimizer"), SAVED)
def test_a_saved_model_goes_on_as_the_one_in_memory(tmp_path, optimizer, strategy):
    """With its optimizer, in the same draw, and under a new callback."""
    model, (x, y) = tiny(), data(24)
    model.get_layer("second").trainable = False
    compile_(model, optimizer)
    chosen, budget = md.strategy(strategy, refresh="running"), BUDGET
    medyate = md.MeDyate(budget if chosen.needs_budget else None, chosen, verbose=0)
    fit = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model.fit(x, y, epochs=2, callbacks=[medyate], **fit)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = optimizer != "adam"
    for callbacks in ([], ["new"]):
        same_state(loaded.get_weights(), model.get_weights())
        same_state(loaded.optimizer.variables, model.optimizer.variables)
        for either in (model, loaded):
            new = md.MeDyate(BUDGET, seed=1, calibration=(x, y), verbose=0)
            either.fit(x, y, epochs=1, callbacks=[new] if callbacks else [], **fit)
    same_state(loaded.get_weights(), model.get_weights())


def test_the_head_is_not_drawn_from_even_if_it_is_named():
    model, (x, y) = tiny(), data()
    compile_(model)
    medyate = md.MeDyate(BUDGET, layers=["head", "second"], verbose=0)
    model.fit(x, y, verbose=0, callbacks=[medyate])
    assert medyate.report().candidates == ("second",)
    assert model.training_state.pool.shape[0] <= model.get_layer("second").kernel.numpy().size


@pytest.mark.parametrize(
    ("calibration", "words"),
    [
        (lambda x, y: x, "inputs alone.*a tuple"),
        (lambda x, y: [x, y], "inputs alone.*a tuple"),
        (lambda x, y: (x, y[:5]), r"lengths \[16, 5\]"),
        (lambda x, y: (x[:, :4], y), r"\(batch, 9\); received shape \(16, 4\)"),
        (lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)), r"needs .batch\(32\)"),
        (lambda x, y: {"x": x, "y": y}, "received dict"),
        (lambda x, y: (x, y, 0), "batch size"),
        (lambda x, y: (x.astype(str), y), "x of calibration.*real numbers.*<U"),
        (lambda x, y: (x + 1j, y), "x of calibration.*real numbers.*complex"),
        (lambda x, y: (x, np.array(list("abc"))[y]), "y of calibration.*classes to 0, 1"),
        (lambda x, y: (x, y + 0.5), "with fractions"),
    ],
)
def test_calibration_data_that_do_not_fit_are_refused_in_words(calibration, words):
    model, (x, y) = tiny(), data()
    compile_(model)
    with pytest.raises((errors.DataError, errors.OptionError), match=words):
        md.MeDyate(BUDGET, calibration=calibration(x, y), verbose=0).set_model(model)


def test_an_endless_generator_is_read_so_far_and_no_further():
    model, (x, y) = tiny(), data()
    compile_(model)
    read = []

    def batches():
        while True:
            read.append(1)
            yield x, y

    md.MeDyate(BUDGET, calibration=batches(), calibration_batches=3, verbose=0).set_model(model)
    assert len(read) == 3


def test_inputs_and_targets_by_name_are_measured_and_checked():
    a, b = keras.Input((9,), name="a"), keras.Input((9,), name="b")
    x = L.Dense(8)(L.Concatenate()([L.Dense(8)(a), L.Dense(8)(b)]))
    outputs = {"p": L.Dense(3, activation="softmax", name="p")(x), "q": L.Dense(1, name="q")(x)}
    model = md.prepare(keras.Model({"a": a, "b": b}, outputs))
    losses = {"p": "sparse_categorical_crossentropy", "q": "mse"}
    model.compile("sgd", losses, run_eagerly=True)
    x, y = data()
    named = {"a": x, "b": -x}, {"p": y, "q": 1.0 * y[:, None]}
    medyate = md.MeDyate(4096, verbose=0)
    model.fit(*named, verbose=0, callbacks=[medyate])
    assert medyate.plan.channel_count > 0
    with pytest.raises(errors.NonFiniteDataError):
        model.fit({"a": x, "b": x * np.nan}, named[1], verbose=0)


class FromOne(keras.losses.SparseCategoricalCrossentropy):
    """Classes are 1, 2 and 3."""

    def call(self, y_true, y_pred):
        return super().call(y_true - 1, y_pred)


def test_a_loss_of_ones_own_numbers_its_classes_itself():
    model, (x, y) = tiny(), data()
    compile_(model, loss=FromOne())
    model.fit(x, y + 1, verbose=0)


def test_words_are_taken_by_a_model_that_reads_them():
    words = keras.Input((1,), dtype="string")
    numbers = L.TextVectorization(output_sequence_length=2, vocabulary=["a", "b"])(words)
    x = L.Dense(6)(L.Flatten()(L.Embedding(4, 3)(numbers)))
    model = md.prepare(keras.Model(words, L.Dense(2, activation="softmax")(x)))
    compile_(model)
    texts, y = tf.constant([["a b"], ["b"]] * 4), np.arange(8) % 2
    for batches in ((texts, y), (tf.data.Dataset.from_tensor_slices((texts, y)).batch(4),)):
        medyate = md.MeDyate("512B", "medyate-calibrated", verbose=0)
        model.fit(*batches, verbose=0, callbacks=[medyate])
        assert medyate.plan.channel_count > 0
    with pytest.raises(errors.DataError, match="y: expected real numbers"):
        model.fit(texts, np.array(["u", "v"] * 4), verbose=0)


def test_ignored_labels_are_no_classes():
    model, (x, y) = tiny(), data()
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)
    compile_(model, loss=loss)
    model.fit(x, np.where(y == 1, 255, y), verbose=0)
    with pytest.raises(errors.LabelError):
        model.fit(x, np.where(y == 1, 254, y), verbose=0)


@pytest.mark.parametrize("what", ["freeze", "compile", "another"])
def test_what_changes_in_the_middle_of_a_fit_is_refused(what):
    model, (x, y) = tiny(), data()
    compile_(model)
    medyate, another = (md.MeDyate(BUDGET, seed=seed, verbose=0) for seed in (0, 1))

    def change(epoch, logs):
        if what == "freeze":
            model.get_layer("first").trainable = False
        elif what == "compile":
            compile_(model)

    callbacks = [medyate, keras.callbacks.LambdaCallback(on_epoch_end=change)]
    callbacks += [another] if what == "another" else []
    with pytest.raises(errors.PlanError, match="between two fits"):
        model.fit(x, y, epochs=2, verbose=0, callbacks=callbacks)


def test_weight_decay_that_spares_a_kernel_is_refused():
    model, (x, y) = tiny(), data()
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([model.get_layer("second").kernel], ["bias"])
    model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=True)
    with pytest.raises(errors.OptionError, match="leaves out second/kernel"):
        model.fit(x, y, verbose=0, callbacks=[md.MeDyate(BUDGET, verbose=0)])
    model.fit(x, y, verbose=0, callbacks=[md.MeDyate(BUDGET, layers=["first"], verbose=0)])


def test_the_format_of_keras_2_is_refused_before_it_is_written(tmp_path):
    model = tiny()
    with pytest.raises(errors.OptionError, match=r"model\.keras"):
        model.save(tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["set_weights", "assign"])
def test_weights_that_are_set_between_fits_are_what_goes_on(how, tmp_path):
    """Of drawn channels, too: their live copies in the pool must not win over them."""
    model, (x, y) = tiny(), data()
    compile_(model)
    medyate = md.MeDyate(BUDGET, md.strategy(resample_every="never"), verbose=0)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[medyate])
    layer = model.get_layer("second")
    assert medyate.plan.channels_of("second")
    wanted = np.full(layer.kernel.shape, 0.25, "f")
    if how == "set_weights":
        layer.set_weights([wanted, *layer.get_weights()[1:]])
    else:
        layer.kernel.assign(wanted)
        model.commit()
    outputs = model(x).numpy()
    model.save(tmp_path / "model.keras")
    saved = keras.models.load_model(tmp_path / "model.keras").get_layer("second")
    stripped = md.strip(model)
    for kernel in (saved.kernel, stripped.get_layer("second").kernel):
        np.testing.assert_array_equal(kernel, wanted)
    np.testing.assert_allclose(stripped(x), outputs, rtol=1e-5)
    model.compile(keras.optimizers.SGD(0.0), SPARSE, run_eagerly=True)
    model.fit(x, y, verbose=0, callbacks=[medyate])
    np.testing.assert_array_equal(layer.kernel, wanted)


def test_weights_of_a_moment_are_put_back_whole():
    """The kernels in `get_weights` may be older than the pool beside them: the pool counts."""
    model, (x, y) = tiny(), data()
    compile_(model)
    model.fit(x, y, verbose=0, callbacks=[md.MeDyate(BUDGET, verbose=0)])
    model.fit(x, y, verbose=0)  # moves the pool, commits nothing
    weights, outputs = model.get_weights(), model(x).numpy()
    model.commit()
    model.set_weights(weights)
    np.testing.assert_allclose(md.strip(model)(x), outputs, rtol=1e-5)
    np.testing.assert_array_equal(model(x), outputs)
