"""Layers that cannot be masked stay as they are, frozen, wherever Keras can differentiate."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from random_models import randomise_norms

import tf_medyate as md
from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.exporter.lower import weightless

L = keras.layers
RNG = np.random.default_rng(0)


class Twice(L.Layer):
    """A layer of the user's own, with parts and a configuration."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.dense = units, L.Dense(units)

    def call(self, x):
        return 2.0 * self.dense(x)

    def get_config(self):
        return super().get_config() | {"units": self.units}


class Subclassed(keras.Model):
    """A nested model without a graph."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.dense, self.drop = units, L.Dense(units), L.Dropout(0.5)

    def call(self, x):
        return self.drop(self.dense(x))

    def get_config(self):
        return {"units": self.units, "name": self.name}


def text():
    words = keras.Input((7,), dtype="int32")
    x = L.Embedding(9, 6, mask_zero=True, name="embedding")(words)
    x = L.Bidirectional(L.GRU(4, return_sequences=True), name="gru")(x)
    x = L.MultiHeadAttention(2, 3, name="attention")(x, value=x)
    x = L.LayerNormalization(name="norm")(x)
    x = L.Dense(6, activation="tanh", name="body")(L.GlobalAveragePooling1D()(x))
    x = L.LayerNormalization(name="middle")(x)
    return keras.Model(words, L.Dense(3, name="head")(x))


def own():
    inputs = keras.Input((6,))
    x = Subclassed(5, name="sub")(Twice(6, name="twice")(inputs))
    shared = L.Dense(5, name="shared")
    x = L.Lambda(lambda v: v * tf.constant(2.0))(shared(shared(x)))
    left, right = keras.ops.split(x + 1.0, [2], axis=-1)
    x = keras.ops.concatenate([right, left], axis=-1)
    x = L.PReLU(name="slopes")(L.Dense(4, activation=lambda v: v * v, name="body")(x))
    return keras.Model(inputs, L.Dense(3, name="head")(x))


def images():
    """The transfer-learning tutorial of TensorFlow, smaller."""
    augmentation = keras.Sequential([L.RandomFlip("horizontal"), L.RandomRotation(0.2)])
    encoder = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()]
    )
    randomise_norms(encoder, RNG)
    encoder.trainable = False
    inputs = keras.Input((8, 8, 3))
    x = keras.applications.mobilenet_v2.preprocess_input(augmentation(inputs))
    x = L.GlobalAveragePooling2D()(encoder(x, training=False))
    x = L.Conv2D(4, 1, groups=2, name="grouped")(L.Reshape((1, 1, 4))(x))
    x = L.Dropout(0.2)(L.Flatten()(x))
    return keras.Model(inputs, L.Dense(3, name="head")(x))


CASES = {
    text: ("embedding", "gru", "attention", "norm", "middle"),
    own: ("twice", "sub", "shared", "slopes"),
    images: ("grouped",),
}


def batch_of(model, rows=16):
    shape, dtype = (rows, *model.inputs[0].shape[1:]), model.inputs[0].dtype
    x = RNG.integers(0, 3, shape) if "int" in dtype else 100 * RNG.normal(size=shape)
    return x.astype(dtype), RNG.integers(0, 3, rows)


def same_answers(one, other, x):
    answers = (one(x, training=False), other(x, training=False))
    np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("build", CASES)
def test_they_keep_the_outputs_and_never_change(build, tmp_path):
    base = build()
    given = base.get_weights()
    flags = [v.trainable for v in base.weights]
    model, frozen = md.prepare(base), CASES[build]
    assert model.frozen_layers == frozen
    assert {v.path.split("/")[0] for v in model.trainable_variables}.isdisjoint(frozen)
    x, y = batch_of(base)
    same_answers(model, base, x)
    before = {name: model.get_layer(name).get_weights() for name in frozen}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
    head = model.get_layer("head").kernel.numpy()
    medyate = md.MeDyate(budget="2KiB")
    model.fit(x, y, epochs=2, callbacks=[medyate], verbose=0)
    for name, values in before.items():
        for old, new in zip(values, model.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(new, old)
    assert not np.array_equal(model.get_layer("head").kernel, head)
    for old, new, flag in zip(given, base.weights, flags, strict=True):
        np.testing.assert_array_equal(new, old)
        assert new.trainable == flag
    line = ", ".join(frozen)
    assert line in " ".join(str(medyate.report()).split())
    stripped = md.strip(model)
    same_answers(stripped, model, x)
    lines = []
    model.summary(print_fn=lines.append)
    assert lines[-1].endswith(line)
    if build is not own:  # lambdas and unregistered classes are not for files
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        same_answers(loaded, model, x)
        assert len(loaded.trainable_variables) == len(model.trainable_variables)
    if build is images:
        assert "can be exported" in str(md.check_export(model, medyate))
        return
    with pytest.raises(UnsupportedLayerError, match=r"Replace it by|Give the layer"):
        md.check_export(model, medyate)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x, y: x + y, "Add"),
        (lambda x, y: x - y, "Subtract"),
        (lambda x, y: x * y, "Multiply"),
        (lambda x, y: keras.ops.maximum(x, y), "Maximum"),
        (lambda x, y: x / 255.0 + 0 * y, "Rescaling"),
        (lambda x, y: 3 - x, "Rescaling"),
        (lambda x, y: x + np.arange(4, dtype="f"), "Rescaling"),
        (lambda x, y: keras.ops.sigmoid(x), "Activation"),
        (lambda x, y: L.Dense(4)(inputs=x), "MaskedDense"),
    ],
)
def test_operators_become_layers(function, kind):
    inputs = keras.Input((4,))
    base = keras.Model(inputs, L.Dense(2)(function(inputs, L.Dense(4)(inputs))))
    model = md.prepare(base)
    assert not model.frozen_layers
    assert kind in {type(layer).__name__ for layer in model.layers}
    x = RNG.normal(size=(5, 4)).astype("f")
    np.testing.assert_allclose(model(x), base(x), rtol=1e-5, atol=1e-5)


class Marked(L.Layer):
    """Makes a mask of its own."""

    def call(self, x):
        return x

    def compute_mask(self, x, mask=None):
        return keras.ops.any(x != 0, axis=-1)


@pytest.mark.parametrize("kind", [L.Masking, Marked])
def test_a_mask_of_steps_goes_no_further_than_it_did(kind):
    steps = keras.Input((6, 4))
    masked = kind(name="masking")(steps)
    ends = (
        masked * 2.0 + 0.5,
        masked + L.Conv1D(4, 1)(masked),
        keras.ops.sigmoid(masked),
        L.EinsumDense("btc,cd->btd", (None, 4), bias_axes="d")(masked),
        L.Dense(4)(masked),
        L.BatchNormalization()(masked),
    )
    means = L.Concatenate()([*map(L.GlobalAveragePooling1D(), ends), L.GRU(2)(masked)])
    base = keras.Model(steps, L.Dense(2)(means))
    randomise_norms(base, RNG)
    model = md.prepare(base)
    x = RNG.normal(size=(3, 6, 4)).astype("f")
    x[1:, 3:] = 0
    for either in (model, md.strip(model)):
        np.testing.assert_allclose(either(x), base(x), rtol=1e-5, atol=1e-5)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    medyate = md.MeDyate("1KiB", calibration=(x, [0, 1, 1]), verbose=0)
    with pytest.raises(UnsupportedLayerError, match=r"'masking'.*mask of steps"):
        md.check_export(model, medyate)


@pytest.mark.parametrize("shape", [(5,), (6, 5), (3, 4, 5)])
def test_a_norm_of_any_rank_becomes_a_scale_and_shift(shape):
    inputs = keras.Input(shape)
    base = keras.Model(inputs, L.Dense(2)(L.ReLU()(L.BatchNormalization(name="bn")(inputs))))
    randomise_norms(base, RNG)
    model = md.prepare(base)
    assert model.frozen_layers == ()
    x = RNG.normal(size=(4, *shape)).astype("f")
    for either in (model, md.strip(model)):
        np.testing.assert_allclose(either(x), base(x), rtol=1e-5, atol=1e-5)


def test_what_is_off_on_the_device_is_left_out_and_told(tmp_path):
    base = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            L.RandomFlip(name="flip"),
            L.Conv2D(4, 3, name="conv"),
            L.SpatialDropout2D(0.5, name="spatial"),
            L.Flatten(),
            L.Identity(),
            L.ActivityRegularization(l2=0.1, name="penalty"),
            L.ReLU(activity_regularizer="l1", name="regular"),
            L.Dropout(0.5, name="drop"),
            L.Dropout(0.0, name="nothing"),
            L.Dense(3),
        ]
    )
    model = md.prepare(base)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05), loss)
    medyate = md.MeDyate(budget="4KiB")
    model.fit(*batch_of(base), callbacks=[medyate], verbose=0)
    plan = md.check_export(model, medyate)
    names = "flip, spatial, penalty, regular, drop"
    assert str(plan).endswith(f"trains without: {names}")
    with pytest.warns(UserWarning, match=f"trains without: {names}$"):
        md.export(model, tmp_path, medyate)
    assert len([op for op in plan.training.graph.ops if op.kind == "MEDYATE_CONV_2D"]) == 1


@pytest.mark.parametrize("kind", weightless.OFF, ids=lambda kind: kind.__name__)
def test_what_is_left_out_does_nothing_at_inference(kind):
    options = {L.RandomPosterization: {"factor": 3}}
    needs = {"rate": 0.5, "stddev": 0.5, "factor": 0.5, "height_factor": 0.5, "width_factor": 0.5}
    named = inspect.signature(kind).parameters.values()
    needed = {p.name: needs[p.name] for p in named if p.default is p.empty and p.name in needs}
    layer = kind(**{**needed, **options.get(kind, {})})
    shape = {L.SpatialDropout1D: (2, 6, 3), L.SpatialDropout3D: (2, 6, 6, 2, 3)}
    x = RNG.uniform(size=shape.get(kind, (2, 6, 6, 3))).astype("f")
    np.testing.assert_array_equal(keras.Sequential([layer])(x, training=False), x)
