"""What `compile` was given is what the exported step trains, or it is refused before training."""

import types

import keras
import numpy as np
import pytest
from compiled_rows import LOSSES, OPTIMIZERS, dense_net
from hypothesis import given, settings
from hypothesis import strategies as st

import tf_medyate as md
from tf_medyate.errors import MedyateError, OptionError, UnsupportedLayerError
from tf_medyate.exporter import ArenaLimitError
from tf_medyate.exporter.lower.loss import KINDS as LOSS_KINDS
from tf_medyate.exporter.lower.optimizer import KINDS as OPTIMIZER_KINDS
from tf_medyate.exporter.lower.optimizer import optimizer_of
from tf_medyate.simulate import TFLMTrainer

pytestmark = pytest.mark.usefixtures("quick_export")
L = keras.layers
SGD, Adam, AdamW = keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.AdamW
Sparse = keras.losses.SparseCategoricalCrossentropy
Binary = keras.losses.BinaryCrossentropy
MeanSquaredError = keras.losses.MeanSquaredError
MeanAbsoluteError = keras.losses.MeanAbsoluteError
Huber = keras.losses.Huber
schedules = keras.optimizers.schedules
SPARSE = "sparse_categorical_crossentropy"
CLASSES, SAMPLES = 3, 6


def map_net():
    layers = [L.Conv2D(3, 3, padding="same", activation="relu"), L.Conv2D(CLASSES, 1)]
    return keras.Sequential([keras.Input((4, 4, 2)), *layers])


def prepared(base, loss, optimizer=None, **options):
    model = md.prepare(base)
    model.compile(optimizer or SGD(0.05), loss, **options)
    return model


def new_callback(budget="4KiB", strategy="d-full-random"):
    return md.MeDyate(budget, strategy, verbose=0)  # needs no data


def train_in_both(model, folder, y, class_weight=None):
    """Losses [2, steps] and predictions [2, samples, ...] of Keras and of TFLM."""
    medyate = new_callback()
    medyate.set_model(model)
    trainer = TFLMTrainer(md.export(model, folder, medyate, class_weight=class_weight))
    medyate.begin_epoch()
    x = np.random.default_rng(0).normal(size=(len(y), *model.input_shape[1:])).astype("float32")
    one_hot = trainer.manifest.takes_class and np.ndim(y) > 1
    labels = np.argmax(y, -1) if one_hot else y
    losses = []
    for sample, target, label in zip(x, y, labels, strict=True):
        model.reset_metrics()
        wanted = model.train_on_batch(
            sample[None], target[None], class_weight=class_weight, return_dict=True
        )["loss"]
        measured = trainer.loss(sample, label)
        losses.append((wanted, trainer.step(sample, label)))
        assert measured == losses[-1][1]
    got = [trainer.predict(sample) for sample in x]
    return np.array(losses).T, np.array([model(x), got])


def assert_alike(losses, predictions):
    # The issue's own limit; steps of rounding in another order.
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(predictions[1], predictions[0], rtol=1e-4, atol=1e-4)


def labels_for(loss_takes_class, shape, are_shares=False):
    rng = np.random.default_rng(1)
    if loss_takes_class:
        return rng.integers(0, shape[-1], SAMPLES)
    if are_shares:
        return rng.integers(0, 2, (SAMPLES, *shape)).astype("float32")
    return rng.normal(size=(SAMPLES, *shape)).astype("float32")


# --- what is one's own


def mse(y, p):
    return keras.ops.mean(keras.ops.abs(y - p), axis=-1)


class CategoricalCrossentropy(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


class SparseOfOnesOwn(Sparse):
    def call(self, y_true, y_pred):
        return 2 * super().call(y_true, y_pred)


class AdamOfOnesOwn(Adam):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(2 * gradient, variable, learning_rate)


@keras.saving.register_keras_serializable("own")
class CosineDecay(schedules.CosineDecay):
    def __call__(self, step):
        return 0.001


def without_bias_decay():
    optimizer = SGD(0.05, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def without_some_decay():
    optimizer = SGD(0.05, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_list=[keras.Variable(0.0)])
    return optimizer


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (mse, {"last": None}, r"model\.loss: .*itself and not one like it; received .*\.mse\."),
        (CategoricalCrossentropy(), {}, r"received .*test_compiled\.CategoricalCross"),
        (SparseOfOnesOwn(), {}, "received .*SparseOfOnesOwn"),
        (lambda y, p: p, {}, "received .*<lambda>"),
        (None, {}, "received None"),
        ("crossentropy", {}, "received 'crossentropy'"),
        (["mse", "mse"], {"last": None}, r"received \['mse', 'mse'\]"),
        (SPARSE, {"loss_weights": 0.0}, r"model\.loss_weights: .*above 0; received \[0\.0\]"),
        (SPARSE, {"loss_weights": -1.0}, r"model\.loss_weights"),
        (SPARSE, {"loss_weights": [np.inf]}, r"model\.loss_weights"),
        (Sparse(ignore_class=1), {}, r"model\.loss\.ignore_class"),
        (keras.losses.CategoricalCrossentropy(axis=0), {}, r"model\.loss\.axis"),
        (Sparse(dtype="float16"), {}, r"model\.loss\.dtype: expected 'float32'"),
        (MeanSquaredError(None), {"net": map_net}, r"a mean or a sum over the 16 .*received None"),
        (Huber(0.0), {"last": None}, r"model\.loss\.delta: .*above 0; received 0\.0"),
        (Binary(label_smoothing=1.5), {"last": "sigmoid"}, r"label_smoothing: .*from 0 to 1;"),
        (Binary(axis=0), {"last": "sigmoid"}, r"model\.loss\.axis"),
        (
            Binary(),
            {"last": None},
            "from_logits=False after a sigmoid, from_logits=True after none",
        ),
        (Binary(from_logits=True), {"last": "sigmoid"}, "from_logits=True, sigmoid: True"),
        (Binary(), {}, "a cross-entropy after a softmax; received sigmoid_cross_entropy"),
        (keras.losses.BinaryFocalCrossentropy(), {"last": "sigmoid"}, "Focal"),
        ("poisson", {"last": None}, r"received .*\.poisson"),
        (SPARSE, {"optimizer": without_bias_decay}, "exclude_from_weight_decay"),
        (SPARSE, {"optimizer": without_some_decay}, "exclude_from_weight_decay"),
        (SPARSE, {"optimizer": lambda: SGD(loss_scale_factor=8.0)}, "loss_scale_factor"),
        (SPARSE, {"optimizer": lambda: SGD(use_ema=True)}, "use_ema"),
        (SPARSE, {"optimizer": keras.optimizers.RMSprop}, "SGD, Adam or AdamW; received RMSprop"),
        (SPARSE, {"optimizer": AdamOfOnesOwn}, "received AdamOfOnesOwn"),
        (SPARSE, {"optimizer": lambda: Adam(amsgrad=True)}, "amsgrad: expected not set"),
        (SPARSE, {"optimizer": lambda: AdamW(clipnorm=1.0)}, "clipnorm: .*global_clipnorm"),
        (SPARSE, {"optimizer": lambda: Adam(beta_1=1.0)}, "beta_1: .* below 1; received 1.0"),
        (SPARSE, {"optimizer": lambda: Adam(beta_2=lambda: 0.9)}, "beta_2: expected a number"),
        (SPARSE, {"optimizer": lambda: Adam(epsilon=-1.0)}, "epsilon: .*at least 0"),
        (SPARSE, {"optimizer": lambda: SGD(weight_decay=-0.1)}, "weight_decay: .*at least 0"),
        (SPARSE, {"optimizer": lambda: SGD(float("nan"))}, "learning_rate: .*at least 0"),
        (SPARSE, {"optimizer": lambda: SGD(gradient_accumulation_steps=2.5)}, "a whole number"),
        (SPARSE, {"optimizer": lambda: SGD(lambda: 0.1)}, "learning_rate: .*a schedule of keras"),
        (SPARSE, {"optimizer": lambda: SGD(CosineDecay(0.1, 9))}, "received own>CosineDecay"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_not_done_alike_is_refused_before_training(loss, options, message, recwarn):
    net = options.pop("net", None)
    base = net() if net else dense_net(options.pop("last", "softmax"))
    optimizer = options.pop("optimizer", SGD)()
    model = prepared(base, loss, optimizer, **options)
    with pytest.raises(OptionError, match=message):
        md.check_export(model, new_callback())
    assert not [w for w in recwarn if "lambda" in str(w.message)]


def test_activations_are_told_by_what_they_are(tmp_path):
    @keras.saving.register_keras_serializable("own")
    def relu(x):
        return keras.ops.maximum(x, 0.5 * x)

    model = prepared(dense_net(), SPARSE)
    model.layers[1].activation = relu  # as if `prepare` had let it pass
    with pytest.raises(UnsupportedLayerError, match=r"itself and not one like it: relu.*\.relu\."):
        md.check_export(model, new_callback())
    model.layers[1].activation = keras.activations.leaky_relu
    model = prepared(md.strip(model), SPARSE)
    assert_alike(*train_in_both(model, tmp_path, labels_for(True, (CLASSES,))))


# --- every loss and optimizer


def is_exported(row):
    try:
        optimizer_of(types.SimpleNamespace(optimizer=row.make()))
    except OptionError:
        return False
    return True


EXPORTED_LOSSES = [row for row in LOSSES if type(row.make()) in LOSS_KINDS]
EXPORTED_OPTIMIZERS = [row for row in OPTIMIZERS if is_exported(row)]


@pytest.mark.parametrize("number", range(len(EXPORTED_LOSSES)))
def test_every_loss_and_optimizer_trains_as_in_keras(number, tmp_path):
    """The rows of docs/layers.md, an optimizer with each loss."""
    row, optimizer = EXPORTED_LOSSES[number], EXPORTED_OPTIMIZERS[number % len(EXPORTED_OPTIMIZERS)]
    keras.utils.set_random_seed(0)
    units, loss = row.units, row.make()
    is_named = isinstance(row.options.get("loss_weights"), dict)
    model = prepared(
        dense_net(row.last, units=units),
        {"head": loss} if is_named else loss,
        optimizer.make(),
        **row.options,
    )
    y = np.random.default_rng(1).integers(0, 2, (50, units)).astype("float32")
    if row.last == "softmax":
        y = np.eye(units, dtype="float32")[y.argmax(-1)]
    if isinstance(loss, Sparse):
        y = y.argmax(-1)
    assert_alike(*train_in_both(model, tmp_path, y))


def test_every_loss_and_optimizer_that_is_exported_has_a_row():
    assert len(EXPORTED_OPTIMIZERS) <= len(EXPORTED_LOSSES), "so that each of them is trained"
    assert {type(row.make()) for row in EXPORTED_LOSSES} == {*LOSS_KINDS}
    assert {type(row.make()) for row in EXPORTED_OPTIMIZERS} == {*OPTIMIZER_KINDS}


@pytest.mark.parametrize(
    ("loss", "last", "units", "weights"),
    [(SPARSE, "softmax", 3, {0: 2.0, 2: 0.25}), ("binary_crossentropy", "sigmoid", 1, {1: 4.0})],
)
def test_class_weights_are_those_of_keras(loss, last, units, weights, tmp_path):
    keras.utils.set_random_seed(0)
    model = prepared(dense_net(last, units=units), loss)
    y = labels_for(units > 1, (units,), True)
    assert_alike(*train_in_both(model, tmp_path, y, weights))


def test_class_weights_of_a_fit_are_taken_over_unless_others_are_given():
    model, x, y = prepared(dense_net(), SPARSE), np.zeros((4, 6), "float32"), np.arange(4) % 3
    medyate = new_callback()

    def weights(**options):
        plan = md.check_export(model, medyate, **options)
        return plan.training.recipe.loss.class_weights

    assert weights() == ()
    model.fit(x, y, verbose=0, class_weight={1: 3.0}, callbacks=[medyate])
    assert weights() == (1.0, 3.0, 1.0)
    assert weights(class_weight={0: 2.0}) == (2.0, 1.0, 1.0)
    assert weights(class_weight={}) == ()
    model.fit(x, y, verbose=0)
    assert weights() == ()


@pytest.mark.parametrize(
    ("loss", "last", "weights", "message"),
    [
        (SPARSE, "softmax", {3: 1.0}, "class_weight: .*classes 0 to 2; received {3: 1.0}"),
        (SPARSE, "softmax", {0: -1.0}, "class_weight: expected finite weights of at least 0"),
        (Sparse(reduction="mean_with_sample_weight"), "softmax", {0: 2.0}, "another reduction"),
        ("mse", None, {0: 2.0}, "class_weight: expected none: classes are those of a softmax"),
        ("binary_crossentropy", "sigmoid", {0: 2.0}, "or of a single sigmoid"),
    ],
)
def test_class_weights_that_a_device_does_not_have_are_refused(loss, last, weights, message):
    model = prepared(dense_net(last), loss)
    with pytest.raises(OptionError, match=message):
        md.check_export(model, new_callback(), class_weight=weights)


def test_accuracy_of_a_binary_model_goes_by_one_half(tmp_path):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(20, 6)).astype("float32")
    y = labels_for(False, (3,), True)[np.arange(20) % SAMPLES]
    for loss, last in (("binary_crossentropy", "sigmoid"), (Binary(from_logits=True), None)):
        model = prepared(dense_net(last), loss)
        medyate = new_callback()
        medyate.set_model(model)
        trainer = TFLMTrainer(md.export(model, tmp_path, medyate))
        half = 0.5 if last else 0.0
        wanted = keras.metrics.BinaryAccuracy(threshold=half)(y, model(x))
        assert trainer.accuracy(x, y) == pytest.approx(float(wanted))
        with pytest.raises(md.errors.LabelError, match="numbers from 0 to 1"):
            trainer.step(x[0], [0.0, 1.5, 0.0])
    model = prepared(dense_net(None, units=1), "mae")
    medyate.set_model(model)
    with pytest.raises(OptionError, match="accuracy: expected a model of classes"):
        TFLMTrainer(md.export(model, tmp_path, medyate)).accuracy(x, y[:, 0])


# --- names and structures that Keras takes


def test_a_layer_may_have_the_name_of_a_tensor_of_the_graph(tmp_path):
    keras.utils.set_random_seed(0)
    names = ["loss", "optimizer", "logits", "importance", "prior", "pool", "command"]
    layers = [L.Dense(5, activation="relu", name=name) for name in names]
    net = [keras.Input((6,), name="label"), *layers, L.Dense(CLASSES, "softmax", name="selection")]
    model = prepared(keras.Sequential(net), SPARSE)
    assert_alike(*train_in_both(model, tmp_path, labels_for(True, (CLASSES,))))


def conv_head():
    return [keras.Input((4, 4, 2)), L.Conv2D(CLASSES, 3), L.Flatten(), L.Softmax()]


def reshaped_head():
    return [keras.Input((6,)), L.Reshape((3, 2)), L.Dense(CLASSES), L.Flatten(), L.Softmax()]


@pytest.mark.parametrize("layers", [conv_head, reshaped_head])
def test_classes_are_those_of_the_logits(layers, tmp_path):
    """Not the outputs of the last layer with weights."""
    keras.utils.set_random_seed(0)
    model = prepared(keras.Sequential(layers()), SPARSE)
    y = np.full(SAMPLES, model.output_shape[-1] - 1)
    assert_alike(*train_in_both(model, tmp_path, y))


def test_two_heads_make_one_vector_of_classes(tmp_path):
    keras.utils.set_random_seed(0)
    x = keras.Input((6,))
    hidden = L.Dense(8, activation="relu")(x)
    logits = L.Concatenate()([L.Dense(2)(hidden), L.Dense(3)(hidden)])
    model = prepared(keras.Model(x, L.Softmax()(logits)), SPARSE)
    assert_alike(*train_in_both(model, tmp_path, np.full(SAMPLES, 4)))


# --- what a device cannot count to


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([keras.Input((66_000,)), L.Dense(2)], r"layer 'dense.*\(Dense\).*channels of 1 to 65,535"),
        ([keras.Input((2, 1)), L.Conv1D(2, 300, padding="same"), L.Flatten()], "kernel_size.*255"),
        ([keras.Input((70_000, 1)), L.Conv1D(2, 3), L.GlobalMaxPooling1D()], "input_size.*65,535"),
        ([keras.Input((4,)), L.Dense(66_000)], "65,535"),
    ],
)
def test_sides_beyond_what_a_device_counts_to_are_refused(layers, message):
    model = prepared(keras.Sequential(layers), Sparse(from_logits=True))
    with pytest.raises(MedyateError, match=message):
        md.check_export(model, new_callback("1MiB"))


def test_a_model_without_anything_to_train_is_refused():
    base = dense_net()
    base.trainable = False
    with pytest.raises(OptionError, match="a layer that is trained; received none: every layer"):
        md.check_export(prepared(base, SPARSE), new_callback())


# --- before and after the layers are ranked


def test_a_check_says_what_the_export_will_be(tmp_path):
    model, medyate = prepared(dense_net(), SPARSE), new_callback()
    assert "before the layers are ranked" in str(md.check_export(model, medyate))
    medyate.set_model(model)
    before = model.get_weights()
    checked = md.check_export(model, medyate, arena_limit="64KiB")
    assert checked.arena == md.export(model, tmp_path, medyate).arena
    assert str(checked.arena) in str(checked)
    with pytest.raises(ArenaLimitError, match="arena_limit"):
        md.check_export(model, medyate, arena_limit="1KiB")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_model_that_was_changed_after_the_callback_saw_it_is_refused(tmp_path):
    model, medyate = prepared(dense_net(), SPARSE), new_callback()
    medyate.set_model(model)
    model.compile(SGD(0.05, momentum=0.9), SPARSE)
    with pytest.raises(md.errors.PlanError, match=r"optimizer_slots=1.*Compile the model before"):
        md.export(model, tmp_path, medyate)
    model.compile(SGD(0.05), SPARSE)
    model.get_layer("head").trainable = False
    with pytest.raises(md.errors.PlanError, match="one made before head changed"):
        md.check_export(model, medyate)


# --- anything that can be compiled

ONE_HOT = keras.losses.CategoricalCrossentropy
RATES = (
    lambda: 0.05,
    lambda: schedules.CosineDecay(0.1, 5, warmup_target=0.2, warmup_steps=2),
    lambda: schedules.CosineDecayRestarts(0.1, 2),
    lambda: schedules.ExponentialDecay(0.1, 3, 0.5, staircase=True),
    lambda: schedules.InverseTimeDecay(0.1, 3, 0.5),
    lambda: schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.05, 0.01]),
    lambda: schedules.PolynomialDecay(0.1, 5, 0.01, 2.0),
)
ODD = {
    "loss": (mse, "msle", "poisson", Huber(-1.0), MeanSquaredError(dtype="float16")),
    "loss_weights": (-3.0, [0.0]),
    "learning_rate": (CosineDecay(0.1, 5), lambda: 0.1),
    "optimizer": ({"loss_scale_factor": 4.0}, {"clipnorm": 1.0}, {"use_ema": True}),
    "adam": ({"amsgrad": True}, {"beta_1": 1.0}),
}
"""What a device does not do alike: at most one of these in an example."""


@st.composite
def compiled(draw):
    """(maker of a net, arguments of compile, an optimizer and its arguments)."""
    odd = draw(st.sampled_from([None] * 6 + list(ODD)))

    def one_of(name, *usual):
        return draw(st.sampled_from(ODD[name] if odd == name else usual))

    reduction = draw(st.sampled_from(["sum_over_batch_size", "mean", "sum", "none"]))
    logits = draw(st.booleans())
    options = {"from_logits": logits, "reduction": reduction}
    named = [SPARSE, keras.losses.get(SPARSE)] if not logits else []
    smooth = {**options, "label_smoothing": draw(st.sampled_from([0.0, 0.2]))}
    of_class = (Sparse(**options), ONE_HOT(**smooth), *named)
    others = (
        MeanSquaredError(reduction),
        MeanAbsoluteError(reduction),
        Huber(0.5, reduction),
        "mae",
        "mse",
        "huber",
    )
    loss = one_of("loss", *of_class, Binary(**smooth), *others)
    last = None
    if loss in of_class or isinstance(loss, Binary):
        last = None if logits else ("sigmoid" if isinstance(loss, Binary) else "softmax")
    is_map = last is None and loss not in of_class and draw(st.booleans())
    is_adam = odd == "adam" or draw(st.booleans())
    sgd = {"momentum": draw(st.sampled_from([0.0, 0.9])), "nesterov": draw(st.booleans())}
    # A gradient that is nothing but rounding moves no weight far with such an epsilon.
    adam = {"beta_1": draw(st.sampled_from([0.0, 0.8])), "beta_2": 0.99, "epsilon": 1e-3}
    optimizer = {
        "learning_rate": one_of("learning_rate", *(make() for make in RATES)),
        **(adam if is_adam else sgd),
        "weight_decay": draw(st.sampled_from([None, 0.0, 0.1])),
        "gradient_accumulation_steps": draw(st.sampled_from([None, 2, 4])),
        **draw(st.sampled_from([{}, {"clipvalue": 0.05}, {"global_clipnorm": 0.5}])),
    }
    if odd in ("optimizer", "adam"):
        optimizer |= {"clipvalue": None, "global_clipnorm": None, **one_of(odd)}
    arguments = {
        "loss": [loss] if draw(st.booleans()) else loss,
        "loss_weights": one_of("loss_weights", None, 1.0, [0.5]),
        "metrics": draw(st.sampled_from([None, ["mse"], [lambda y, p: 0.0]])),
    }
    net = map_net if is_map else lambda: dense_net(last)
    return net, arguments, (Adam if is_adam else SGD, optimizer)


@given(compiled(), st.booleans())
@settings(max_examples=16)
def test_tflm_equals_keras_or_refuses(tmp_path_factory, compiled, freezes):
    net, arguments, (kind, options) = compiled
    keras.utils.set_random_seed(0)
    base = net()
    base.layers[0].trainable = not freezes
    model = prepared(base, arguments.pop("loss"), kind(**options), **arguments)
    try:
        md.check_export(model, new_callback())
    except MedyateError:
        return  # before anything was trained
    [loss] = keras.tree.flatten(model.loss)
    takes_class = isinstance(loss, (Sparse, ONE_HOT)) or loss in (SPARSE, keras.losses.get(SPARSE))
    y = labels_for(takes_class, model.output_shape[1:], isinstance(loss, Binary))
    if isinstance(loss, ONE_HOT):
        y = np.eye(CLASSES, dtype="float32")[y]
    assert_alike(*train_in_both(model, tmp_path_factory.mktemp("net"), y))
