"""MeDyate under plain model.fit: other callbacks, data of every kind, restarts, failures."""

import contextlib
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_models import random_data, random_model, small_net

import tf_medyate as md
from tf_medyate import errors
from tf_medyate.prepared.layers import masked_layers
from tf_medyate.select.strategies import strategy

BUDGET = "12KiB"


def compiled(optimizer=None, model=None, traced=False):
    """To trace a step takes longer than to run all of a test: that is for tests of a whole fit."""
    model = md.prepare(model or small_net())
    model.compile(
        optimizer or keras.optimizers.SGD(0.05),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=not traced,
    )
    return model


def weights(model):
    return [variable.numpy() for variable in model.variables if "seed" not in variable.path]


def same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def fit(model, callbacks, epochs=4, data=None, **options):
    x, y = data or random_data(model, 24)
    options = {"batch_size": 6, "shuffle": False, "verbose": 0} | options
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, **options)


def test_the_readme_example_learns_and_reports():
    keras.utils.set_random_seed(0)
    base = small_net()
    x, _ = random_data(base, 96)
    y = (x[:, :4].mean((1, 2, 3)) > 0).astype(int) + (x[:, 4:].mean((1, 2, 3)) > 0)
    x += y[:, None, None, None].astype(np.float32)  # something to see
    model = compiled(keras.optimizers.SGD(0.1), traced=True)
    medyate = md.MeDyate(budget="10KiB", verbose=0)
    history = fit(model, [medyate], 12, (x, y), validation_data=(x, y), shuffle=True)
    assert history.history["loss"][-1] < 0.7 * history.history["loss"][0]
    text = str(medyate.report())
    assert "10 KiB" in text
    assert len(medyate.report().epochs) == 12
    assert all(record.plan.used <= 10 * 1024 for record in medyate.report().epochs)
    draws = {record.plan.layers for record in medyate.report().epochs}
    assert len(draws) > 6, "channels are redrawn"
    tuned = md.strip(model)
    np.testing.assert_array_equal(tuned(x), model(x, training=False))
    assert type(tuned) is not type(model)


def test_same_seed_same_channels_same_weights_other_seed_others():
    runs = []
    for seed in (3, 3, 4):
        model = compiled()
        medyate = md.MeDyate(BUDGET, seed=seed, verbose=0)
        fit(model, [medyate])
        plans = [record.plan.layers for record in medyate.report().epochs]
        runs.append((plans, weights(model)))
    assert runs[0][0] == runs[1][0]
    same(runs[0][1], runs[1][1])
    assert runs[0][0] != runs[2][0]


def test_tf_data_and_pydataset_train_like_arrays():
    x, y = random_data(small_net(), 24)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return x[6 * index : 6 * index + 6], y[6 * index : 6 * index + 6]

    found, draws = [], []
    for data in ((x, y), tf.data.Dataset.from_tensor_slices((x, y)).batch(6), Batches()):
        model = compiled(traced=True)
        medyate = md.MeDyate(BUDGET, seed=1, calibration=(x, y), verbose=0)
        if isinstance(data, tuple):
            fit(model, [medyate], data=data)
        else:
            model.fit(data, epochs=4, callbacks=[medyate], shuffle=False, verbose=0)
        found.append(weights(model))
        draws.append([record.plan.layers for record in medyate.report().epochs])
    assert draws[0] == draws[1] == draws[2]
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            # Batches of a size unknown to the graph may be summed by other kernels: rounding.
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_generator_needs_calibration_of_its_own():
    x, y = random_data(small_net(), 24)

    def batches():
        while True:
            yield x[:6], y[:6]

    with pytest.raises(errors.OptionError, match="calibration"):
        compiled().fit(batches(), steps_per_epoch=2, verbose=0, callbacks=[md.MeDyate(BUDGET)])
    medyate = md.MeDyate(BUDGET, calibration=(x, y), verbose=0)
    compiled().fit(batches(), steps_per_epoch=2, verbose=0, callbacks=[medyate])
    assert medyate.plan.channel_count > 0


@pytest.mark.parametrize("after", [True, False])
def test_early_stopping_restores_the_best_epoch(after):
    model = compiled(keras.optimizers.SGD(0.5))
    medyate = md.MeDyate(BUDGET, verbose=0)
    stop = keras.callbacks.EarlyStopping("loss", mode="max", patience=2, restore_best_weights=True)
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model(x).numpy())
    )
    x, y = random_data(model, 24)
    order = [medyate, stop, note] if after else [stop, note, medyate]
    history = fit(model, order, 30, (x, y))
    assert len(history.epoch) < 30, "the loss falls, so a maximum is never bettered"
    best = int(np.argmax(history.history["loss"]))
    np.testing.assert_allclose(model(x), seen[best], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(md.strip(model)(x), seen[best], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("chosen", "after"),
    [
        (strategy("medyate", ranking="last_k", resample_every=3, refresh="last"), False),
        (strategy("medyate-calibrated"), True),
    ],
    ids=["medyate-three", "calibrated"],
)
def test_a_killed_run_goes_on_exactly(tmp_path, chosen, after):
    def run(epochs, folder, kill_after=None):
        keras.utils.set_random_seed(5)
        model = compiled(keras.optimizers.SGD(0.05, momentum=0.9), traced=True)
        medyate = md.MeDyate(BUDGET, chosen, seed=2, verbose=0)
        backup = keras.callbacks.BackupAndRestore(str(folder), delete_checkpoint=False)
        callbacks = [medyate, backup] if after else [backup, medyate]

        class Kill(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == kill_after:
                    raise KeyboardInterrupt

        try:
            fit(model, [*callbacks, Kill()], epochs)
        except KeyboardInterrupt:
            return None
        plans = [record.plan for record in medyate.report().epochs]
        return plans, weights(model), [v.numpy() for v in model.optimizer.variables]

    whole = run(6, tmp_path / "whole")
    assert run(6, tmp_path / "cut", kill_after=4) is None
    resumed = run(6, tmp_path / "cut")
    assert len(resumed[0]) == 2
    assert [p.layers for p in resumed[0]] == [p.layers for p in whole[0][4:]]
    assert [p.used for p in resumed[0]] == [p.used for p in whole[0][4:]]
    same(resumed[1], whole[1])
    same(resumed[2], whole[2])


def test_learning_rate_schedules_and_tensorboard_run_beside_it(tmp_path):
    model = compiled()
    medyate = md.MeDyate(BUDGET, log_dir=str(tmp_path / "medyate"), verbose=0)
    rates = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    board = keras.callbacks.TensorBoard(str(tmp_path / "keras"))
    fit(model, [rates, board, medyate], 3)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 / 3)
    tags = set()
    for file in (tmp_path / "medyate").rglob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            tags |= {value.tag for value in event.summary.value}
    assert any("used" in tag for tag in tags), tags


def test_a_draw_may_last_several_epochs():
    for every, expected in (("epoch", [0, 1, 2, 3, 4]), (2, [0, 0, 1, 1, 2]), ("never", [0] * 5)):
        medyate = md.MeDyate(BUDGET, strategy(resample_every=every), verbose=0)
        fit(compiled(), [medyate], 5)
        assert [record.plan.draw for record in medyate.report().epochs] == expected


def test_momentum_starts_anew_with_every_draw():
    model = compiled(keras.optimizers.SGD(0.05, momentum=0.9), traced=True)
    medyate = md.MeDyate(BUDGET, verbose=0)
    seen = []

    class Look(keras.callbacks.Callback):
        def slot(self):
            size = model.training_state.pool.shape
            return next(v for v in model.optimizer.variables if v.shape == size).numpy()

        def on_epoch_begin(self, epoch, logs=None):
            seen.append(("begin", np.abs(self.slot()).max()))

        def on_epoch_end(self, epoch, logs=None):
            seen.append(("end", np.abs(self.slot()).max()))

    fit(model, [medyate, Look()], 3)
    assert all(value == 0 for when, value in seen if when == "begin")
    assert all(value > 0 for when, value in seen if when == "end")


def test_fitting_again_goes_on_and_a_new_callback_starts_anew():
    model = compiled(keras.optimizers.Adam(0.01))
    medyate = md.MeDyate(BUDGET, verbose=0)
    fit(model, [medyate], 2)
    fit(model, [medyate], 4, initial_epoch=2)
    assert [record.epoch for record in medyate.report().epochs] == [0, 1, 2, 3]
    x, _ = random_data(model, 5)
    before = model(x).numpy()
    steps = int(model.optimizer.iterations)
    other = md.MeDyate("20KiB", "greedy", calibration=random_data(model, 12), verbose=0)
    other.set_model(model)
    np.testing.assert_array_equal(model(x), before)  # what was learned is committed, not lost
    assert int(model.optimizer.iterations) == steps
    fit(model, [other], 1)
    assert other.plan.used > medyate.plan.used


def test_a_training_loop_of_ones_own_equals_fit():
    x, y = random_data(small_net(), 24)
    reference = compiled(keras.optimizers.SGD(0.05, momentum=0.9), traced=True)
    fit(reference, [md.MeDyate(BUDGET, seed=9, verbose=0)], 3, (x, y))

    model = md.prepare(small_net())
    loss = keras.losses.SparseCategoricalCrossentropy()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    medyate = md.MeDyate(
        BUDGET, seed=9, calibration=(x, y, 6), loss=loss, optimizer=optimizer, verbose=0
    )
    medyate.set_model(model)

    @tf.function
    def step(batch_x, batch_y):
        with tf.GradientTape() as tape:
            value = loss(batch_y, model(batch_x, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for _ in range(3):
        medyate.begin_epoch()
        for start in range(0, 24, 6):
            step(x[start : start + 6], y[start : start + 6])
        medyate.end_epoch({"loss": 1.0})
    assert [record.epoch for record in medyate.report().epochs] == [0, 1, 2]
    for a, b in zip(weights(model), weights(reference), strict=True):
        # Same operations; Keras scales its loss by sums in another order.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_loss_that_turns_nan_stops_and_keeps_the_last_good_weights():
    model = compiled(traced=True)
    x, y = random_data(model, 24)
    good = []

    class Poison(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            good.append(model(x).numpy())

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                model.optimizer.learning_rate = 1e30

    medyate = md.MeDyate(BUDGET, verbose=0)
    with pytest.raises(errors.NonFiniteLossError, match=r"epoch 3.*put back.*learning rate"):
        fit(model, [medyate, Poison()], 5, (x, y))
    assert len(good) == 2
    np.testing.assert_array_equal(model(x).numpy(), good[-1])
    np.testing.assert_array_equal(md.strip(model)(x).numpy(), good[-1])
    assert all(np.isfinite(value).all() for value in weights(model) if value.dtype != bool)


def test_discard_drops_what_was_learned_since_the_epoch_began():
    model = compiled(keras.optimizers.SGD(0.05, momentum=0.9))
    x, y = random_data(model, 12)
    medyate = md.MeDyate(BUDGET, calibration=(x, y), verbose=0)
    medyate.set_model(model)
    for learns in (True, False):
        medyate.begin_epoch()
        before = weights(model)
        model.train_on_batch(x, y)
        assert any((a != b).any() for a, b in zip(before, weights(model), strict=True))
        if learns:
            medyate.end_epoch()
            before = weights(model)
        medyate.discard()  # after the epoch's end nothing is left to drop
        same(weights(model), before)


def test_non_finite_weights_in_a_loop_of_ones_own_are_undone():
    model = compiled()
    x, y = random_data(model, 12)
    medyate = md.MeDyate(BUDGET, calibration=(x, y), verbose=0)
    medyate.set_model(model)
    before = model(x).numpy()
    medyate.begin_epoch()
    model.training_state.pool.assign(np.full(model.training_state.pool.shape, np.nan))
    with pytest.raises(errors.NonFiniteLossError, match="pool"):
        medyate.end_epoch()
    np.testing.assert_array_equal(model(x).numpy(), before)


def test_bad_budgets_and_options_are_refused_before_anything_changes():
    for wrong in ("64 parsecs", 0, -5, "0 KiB", 2.5, "KiB"):
        with pytest.raises(errors.BudgetError, match="64KiB"):
            md.MeDyate(wrong)
    for options, word in (
        ({"strategy": "medjate"}, "Did you mean 'medyate'"),
        ({"seed": -1}, "seed: expected a whole number from 0"),
        ({"seed": 1.0}, "seed"),
        ({"device_batch": 0}, "device_batch: expected a whole number of at least 1"),
        ({"calibration_batches": 0}, "calibration_batches"),
        ({"layers": "body"}, r"layers: .* received 'body'\. Write \['body'\]"),
    ):
        with pytest.raises(errors.OptionError, match=word):
            md.MeDyate(BUDGET, **options)
    with pytest.raises(errors.OptionError, match="budget"):
        md.MeDyate()
    model = compiled()
    names = [v.path for v in model.trainable_variables]
    with pytest.raises(errors.BudgetTooSmallError, match="at least"):
        fit(model, [md.MeDyate("100 B", verbose=0)])
    with pytest.raises(errors.UnknownLayerError, match="bodi"):
        fit(model, [md.MeDyate(BUDGET, layers=["bodi"], verbose=0)])
    assert [v.path for v in model.trainable_variables] == names
    assert all(layer.mode == "full" for layer in masked_layers(model))


def test_old_arguments_mean_what_they_meant_and_warn():
    for old, new in (
        ({"ranking": "rgn", "top_k": 3, "core": 0.5}, {"ranking": "rgn", "top_k": 3, "core": 0.5}),
        ({"sampling": "uniform"}, {"importance": "equal"}),
        ({"sampling": "static"}, {"resample_every": "never"}),
        ({"sampling": "greedy"}, {"importance": "calibrated", "sampling": "strongest"}),
        ({"sampling": "oracle"}, {"importance": "oracle", "sampling": "strongest"}),
        ({"sampling": "full"}, {"trains": "all"}),
        ({"weighting": "uniform", "train_bias": False},
         {"importance": "equal", "train_bias": False}),
    ):  # fmt: skip
        with pytest.warns(DeprecationWarning, match=r"deprecated; pass strategy=.*strategy\("):
            found = md.MeDyate(BUDGET, "medyate-paper", **old).strategy
        assert found == strategy("medyate-paper", **new), old
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mine = strategy("trady", top_k=2)
        assert md.MeDyate(BUDGET, mine).strategy is mine
    with pytest.raises(TypeError, match="'rankin'"):
        md.MeDyate(BUDGET, rankin="lara")


def test_it_must_be_prepared_compiled_and_attached():
    plain = small_net()
    plain.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(errors.NotPreparedError, match=r"tf_medyate\.prepare"):
        fit(plain, [md.MeDyate(BUDGET)])
    x, y = random_data(plain, 8)
    with pytest.raises(errors.NotPreparedError, match="compile"):
        md.MeDyate(BUDGET, calibration=(x, y)).set_model(md.prepare(small_net()))
    for call in (md.MeDyate(BUDGET).begin_epoch, md.MeDyate(BUDGET).report):
        with pytest.raises(errors.NotPreparedError, match="set_model"):
            call()


def test_bad_calibration_data_are_refused():
    x, y = random_data(small_net(), 12)
    bad = x.copy()
    bad[3] = np.nan
    for data, kind, word in (
        ((bad, y), errors.NonFiniteDataError, "x of calibration.*finite"),
        ((x, y + 1), errors.LabelError, "y of calibration.*from 1 to 3"),
        ((x[:0], y[:0]), errors.EmptyDataError, "calibration"),
        (7, errors.OptionError, "re-iterable"),
    ):
        with pytest.raises(kind, match=word):
            fit(compiled(), [md.MeDyate(BUDGET, calibration=data, verbose=0)])


def test_only_named_layers_are_drawn_from_and_frozen_ones_never():
    base = small_net()
    base.get_layer("body").trainable = False
    medyate = md.MeDyate(BUDGET, layers=["point", "stem"], verbose=0)
    fit(compiled(model=base), [medyate], 3)
    drawn = {d.layer for record in medyate.report().epochs for d in record.plan.layers}
    assert drawn == {"point", "stem"}
    medyate = md.MeDyate("40KiB", strategy(top_k=1.0), verbose=0)
    fit(compiled(model=base), [medyate], 2)
    assert "body" not in medyate.report().candidates
    assert medyate.plan.channels_of("stem") == (0, 1, 2)


def test_elements_are_a_budget_too():
    medyate = md.MeDyate("2500 elements", verbose=0)
    fit(compiled(keras.optimizers.Adam(0.01)), [medyate], 2)
    assert medyate.plan.budget.unit == "elements"
    assert 1000 < medyate.plan.used <= 2500


def test_the_state_survives_saving_and_loading_in_mid_training(tmp_path):
    model = compiled(model=random_model(2))
    x, y = random_data(model, 12)
    medyate = md.MeDyate(md.CostModel().full(md.layer_specs(model)) // 2, verbose=0)
    paths = []

    class Save(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if not paths:
                paths.append(tmp_path / "middle.keras")
                model.save(paths[0])
                self.outputs = model(x).numpy()

    save = Save()
    fit(model, [medyate, save], 2, (x, y))
    loaded = keras.models.load_model(paths[0])
    np.testing.assert_array_equal(loaded(x).numpy(), save.outputs)
    fit(loaded, [md.MeDyate(medyate.budget, verbose=0)], 1, (x, y))


def test_the_calibrated_start_draws_the_blunter_the_larger_its_budget():
    found = []
    for budget in ("3KiB", "30KiB"):
        medyate = md.MeDyate(budget, "medyate-calibrated", verbose=0)
        assert medyate.strategy.sharpness == "auto"
        fit(compiled(), [medyate], 1)
        found.append(medyate.strategy.sharpness)
    assert found == [2, 0.5]
    assert "in proportion to gradient norm^0.5" in str(medyate.report())
    model = compiled()
    fit(model, [medyate], 1)  # decided again for each model
    assert medyate.strategy.sharpness == 0.5
    small = md.MeDyate("3KiB", strategy("medyate-calibrated", sharpness=1), verbose=0)
    fit(model, [small], 1)
    assert small.strategy.sharpness == 1


def test_a_tape_outside_of_a_function_sees_the_same_gradients():
    """A pool and a frozen layer: what nobody but our own gradients knows of."""
    model = compiled()
    x, y = random_data(model, 12)
    medyate = md.MeDyate("4KiB", layers=["body"], calibration=(x, y), verbose=0)
    medyate.set_model(model)
    medyate.begin_epoch()
    pool, frozen = model.training_state.pool.value, model.get_layer("stem").kernel.value
    loss = keras.losses.SparseCategoricalCrossentropy()
    forward = tf.function(lambda inputs: model(inputs, training=False))

    def gradients(function):
        with tf.GradientTape() as tape:
            value = loss(y, function(x))
        return tape.gradient(value, [pool, frozen])

    inside, none = gradients(lambda inputs: model(inputs, training=False))
    outside, also_none = gradients(forward)
    assert none is None
    assert also_none is None
    assert np.abs(inside).max() > 0
    np.testing.assert_allclose(outside, inside, rtol=1e-4, atol=1e-7)


def test_keras_and_a_loop_of_ones_own_take_the_same_gradients(monkeypatch):
    from tf_medyate.prepared import model as module

    found = []
    for directly in (module.taped_directly, contextlib.nullcontext):
        monkeypatch.setattr(module, "taped_directly", directly)
        model = compiled()
        fit(model, [md.MeDyate(BUDGET, verbose=0)], 3)
        found.append(weights(model))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_names_are_found_and_typos_are_not():
    assert "MeDyate" in dir(md)
    assert md.zoo.watch_cnn.__name__ == "watch_cnn"
    with pytest.raises(AttributeError, match="medjate"):
        md.medjate  # noqa: B018


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"steps_per_execution": 2}])
def test_other_ways_to_run_a_step_give_the_same_weights(options):
    found = []
    for chosen in ({}, options):
        model = md.prepare(small_net())
        model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy", **chosen)
        fit(model, [md.MeDyate(BUDGET, verbose=0)], 2)
        found.append(weights(model))
    for a, b in zip(*found, strict=True):
        # Eager kernels may be chosen and summed otherwise: float32 rounding.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_weights_of_another_budget_can_be_loaded(tmp_path):
    """The pool of the file has another size than the model's own."""
    small, large = compiled(), compiled()
    x, _ = random_data(small, 24)
    fit(small, [md.MeDyate("4KiB", verbose=0)])
    expected = small.predict(x, verbose=0)
    small.save_weights(tmp_path / "small.weights.h5")
    fit(large, [md.MeDyate("6KiB", verbose=0)])
    large.load_weights(tmp_path / "small.weights.h5")
    np.testing.assert_allclose(large.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(large(x)), expected, rtol=1e-5, atol=1e-6)


def test_weights_without_a_pool_can_be_loaded(tmp_path):
    """From a model that was never attached, and from one that trained its head alone."""
    for callbacks in ([], [md.MeDyate(strategy="head", verbose=0)]):
        plain, attached = compiled(traced=True), compiled(traced=True)
        x, _ = random_data(plain, 24)
        fit(plain, callbacks)
        expected = plain.predict(x, verbose=0)
        plain.save_weights(tmp_path / "plain.weights.h5")
        fit(attached, [md.MeDyate("6KiB", verbose=0)])
        attached.load_weights(tmp_path / "plain.weights.h5")
        attached.commit()
        found = attached.predict(x, verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_net_built_again_knows_its_draw_though_its_layers_have_other_names(tmp_path):
    def net():
        inputs = keras.Input((6, 6, 4))
        x = keras.layers.Conv2D(8, 3)(keras.layers.Conv2D(8, 3)(inputs))
        x = keras.layers.Flatten()(x)
        return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))

    first, second = compiled(model=net()), compiled(model=net())
    assert [layer.name for layer in masked_layers(first)] != [
        layer.name for layer in masked_layers(second)
    ]
    data = random_data(first, 24)
    for model in (first, second):
        fit(model, [md.MeDyate("5KiB", strategy(resample_every="never"), verbose=0)], 1, data)
    first.save_weights(tmp_path / "first.weights.h5")
    second.load_weights(tmp_path / "first.weights.h5")
    assert second.training_state.draw == first.training_state.draw == 0
    np.testing.assert_array_equal(second.training_state.pool, first.training_state.pool)


def test_the_state_of_another_version_is_refused():
    model = compiled()
    fit(model, [md.MeDyate("6KiB", verbose=0)], 1)
    store = {}
    model.training_state.save_own_variables(store)
    with pytest.raises(errors.PlanError, match="Another version"):
        model.training_state.load_own_variables(store | {"step_scale": np.ones(())})
    longer = np.insert(store["layout"], 5, 0)  # as when the layout held a scale, too
    with pytest.raises(errors.PlanError, match="Another version"):
        model.training_state.load_own_variables(store | {"layout": longer})
    del store["layout"]
    with pytest.raises(errors.PlanError, match="Another version"):
        model.training_state.load_own_variables(store)


def test_weights_of_other_kept_layers_can_be_loaded(tmp_path):
    """The kept layers have kernels of one shape: only their places tell them apart."""
    inputs = keras.Input((6, 6, 4))
    x = keras.layers.Conv2D(4, 3, padding="same", name="one")(inputs)
    x = keras.layers.Conv2D(4, 3, padding="same", name="two")(x)
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(x))
    base = keras.Model(inputs, outputs)
    first, second = compiled(model=base), compiled(model=base)
    later = md.MeDyate("8KiB", layers=["two"], verbose=0)
    fit(first, [md.MeDyate("8KiB", layers=["one"], verbose=0)])
    fit(second, [later])
    data = random_data(first, 24)[0]
    expected = first.predict(data, verbose=0)
    first.save_weights(tmp_path / "first.weights.h5")
    second.load_weights(tmp_path / "first.weights.h5")
    second.commit()
    np.testing.assert_allclose(second.predict(data, verbose=0), expected, rtol=1e-5, atol=1e-6)
    one = second.get_layer("one").kernel.numpy()
    fit(second, [later], epochs=1)  # goes on, and draws first
    np.testing.assert_array_equal(second.get_layer("one").kernel.numpy(), one)


def test_a_callback_starts_anew_if_another_has_trained_the_model_in_between():
    model = compiled()
    first = md.MeDyate("3KiB", strategy(ranking="last_k", top_k=1), verbose=0)
    fit(model, [first], epochs=2)
    fit(model, [md.MeDyate("4KiB", strategy(ranking="last_k", top_k=4), verbose=0)], epochs=2)
    fit(model, [first], epochs=2)
    assert len(first.report().epochs) == 2
    assert {draw.layer for draw in first.plan.layers} <= set(first.ranking.kept)
    fit(model, [md.MeDyate(strategy="head", verbose=0)], epochs=1)
    fit(model, [first], epochs=1)
    assert model.training_state.pool is not None


def test_kernels_assigned_from_outside_are_taken_over_by_reload_pool():
    model = compiled()
    fit(model, [md.MeDyate("4KiB", seed=1, verbose=0)])
    kernels = [np.full(layer.kernel.shape, 0.5, np.float32) for layer in masked_layers(model)]
    for layer, kernel in zip(masked_layers(model), kernels, strict=True):
        layer.kernel.assign(kernel)
    model.reload_pool()
    model.commit()
    for layer, kernel in zip(masked_layers(model), kernels, strict=True):
        np.testing.assert_array_equal(layer.kernel.numpy(), kernel)


def test_a_model_without_weights_is_refused_by_name():
    inputs = keras.Input((4,))
    model = md.prepare(keras.Model(inputs, keras.layers.Softmax()(inputs)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(errors.MedyateError):
        model.fit(np.ones((8, 4), "f"), np.zeros(8, int), verbose=0,
                  callbacks=[md.MeDyate(strategy="head", verbose=0)])  # fmt: skip
