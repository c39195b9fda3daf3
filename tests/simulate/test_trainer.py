"""The exported step in TFLM against Keras: losses, draws, weights, and what is read back."""

import contextlib

import keras
import numpy as np
import pytest
from cases import CLASSES, NETS, SGD, make_case

import tf_medyate as md
from tf_medyate.errors import (
    DataError,
    LabelError,
    NonFiniteDataError,
    NonFiniteLossError,
    PlanError,
)
from tf_medyate.exporter.manifest import BundleError
from tf_medyate.select.strategies import strategy
from tf_medyate.simulate import TFLMTrainer

pytestmark = pytest.mark.usefixtures("quick_export")

L = keras.layers
Adam, AdamW = keras.optimizers.Adam, keras.optimizers.AdamW


def train_side_by_side(case, trainer, epochs):
    """Both learn the same samples; returns the losses [2, steps], checks the draws."""
    step, losses = case.step(), []
    for epoch in range(epochs):
        case.medyate.begin_epoch(epoch)
        assert trainer.plan.layers == case.medyate.plan.layers, f"draw of epoch {epoch}"
        assert trainer.plan.used == case.medyate.plan.used
        for sample, label in zip(case.x, case.y, strict=True):
            losses.append((step(sample, label), trainer.step(sample, label)))
        case.medyate.end_epoch()
        trainer.end_epoch()
    return np.array(losses).T


def assert_same_losses(losses):
    # The issue's own limit: 200 steps of rounding in another order.
    wanted, got = losses
    assert (np.abs(got - wanted) <= 1e-4 * np.maximum(1, wanted)).all()


def assert_same_weights(case, trainer, limit=1e-4):
    for layer in md.layers.masked_layers(case.model):
        kernel, bias = trainer.weights()[layer.name]
        np.testing.assert_allclose(kernel, layer.kernel.numpy(), atol=limit)
        if layer.bias is not None:
            np.testing.assert_allclose(bias, layer.bias.numpy(), atol=limit)


@pytest.mark.parametrize("net", NETS)
def test_200_steps_as_in_keras(net, tmp_path):
    case = make_case(net)
    bundle = md.export(case.model, tmp_path, case.medyate)
    trainer = TFLMTrainer(bundle)
    losses = train_side_by_side(case, trainer, epochs=4)
    assert_same_losses(losses)
    assert_same_weights(case, trainer)
    draws = {record.plan.layers for record in case.medyate.report().epochs}
    assert len(draws) > 1, "channels are redrawn"
    assert losses[1][-50:].mean() < losses[1][:50].mean(), "it learns"

    fresh = make_case(net).model
    trainer.copy_to(fresh)
    wanted = fresh.predict(case.x[:20], verbose=0)
    got = [trainer.predict(sample) for sample in case.x[:20]]
    np.testing.assert_allclose(got, wanted, atol=1e-5)  # one forward pass of rounding
    np.testing.assert_allclose(got, case.model.predict(case.x[:20], verbose=0), atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {
            "optimizer": lambda: SGD(
                0.02, momentum=0.8, nesterov=True, weight_decay=0.02, clipvalue=0.05
            ),
            "strategy": strategy("medyate", resample_every=2),
        },
        {
            "optimizer": lambda: Adam(0.003, weight_decay=0.02, clipvalue=0.05),
            "budget": "12KiB",
        },
        {
            "optimizer": lambda: SGD(
                0.1, momentum=0.5, gradient_accumulation_steps=6, global_clipnorm=0.5
            ),
            "budget": "8KiB",
        },
        {
            "optimizer": lambda: SGD(
                keras.optimizers.schedules.CosineDecay(0.05, 60, warmup_target=0.1, warmup_steps=9),
                gradient_accumulation_steps=3,
            ),
        },
        {"strategy": "medyate", "budget": "3000 elements"},
        {"strategy": "greedy"},
        {"strategy": "trady", "budget": "3000 elements"},
        {"strategy": "su-like"},
        {"strategy": "head", "budget": None},
        {"strategy": "full", "budget": None},
        {"strategy": strategy(core=0.5, sharpness=0.5, train_bias=False, weighting="rgn")},
    ],
    ids=[
        "nesterov",
        "adam",
        "clip-norm",
        "cosine",
        "medyate",
        "greedy",
        "uniform",
        "su",
        "head",
        "full",
        "core",
    ],
)
def test_options_as_in_keras(options, tmp_path):
    optimizer = options.pop("optimizer", lambda: SGD(0.05))()
    case = make_case("separable", samples=20, optimizer=optimizer, **options)
    trainer = TFLMTrainer(md.export(case.model, tmp_path, case.medyate))
    assert_same_losses(train_side_by_side(case, trainer, epochs=3))
    assert_same_weights(case, trainer)
    for name, values in trainer.importance.items():
        layer = case.model.get_layer(name)
        np.testing.assert_allclose(values, layer.importance.numpy(), rtol=1e-3)  # 60 steps


@pytest.mark.parametrize(
    ("make", "resample_every"),
    [
        (lambda: SGD(0.1, momentum=0.5, gradient_accumulation_steps=3), 1),
        (lambda: AdamW(0.003, gradient_accumulation_steps=3, global_clipnorm=0.5), 2),
    ],
    ids=["sgd", "adamw"],
)
def test_a_batch_that_comes_up_short_is_applied_at_the_end_of_the_epoch(
    make, resample_every, tmp_path
):
    optimizer, medyate = make(), strategy("medyate", resample_every=resample_every)
    case = make_case("plain", 10, "12KiB", optimizer, strategy=medyate)
    trainer = TFLMTrainer(md.export(case.model, tmp_path, case.medyate))
    assert_same_losses(train_side_by_side(case, trainer, epochs=3))
    assert trainer.updates == int(optimizer.iterations) == 12
    assert_same_weights(case, trainer)


def test_mean_squared_error_as_in_keras(tmp_path):
    case = make_case("separable", samples=20, loss=keras.losses.MeanSquaredError())
    trainer = TFLMTrainer(md.export(case.model, tmp_path, case.medyate))
    assert_same_losses(train_side_by_side(case, trainer, epochs=2))
    assert_same_weights(case, trainer)


def test_discard_puts_the_weights_back_bit_for_bit(tmp_path):
    case = make_case("residual", samples=10, budget="12KiB", optimizer=Adam(0.003))
    trainer = TFLMTrainer(md.export(case.model, tmp_path, case.medyate))
    before = trainer.predict(case.x[0])
    losses = [trainer.step(sample, label) for sample, label in zip(case.x, case.y, strict=True)]
    assert not np.array_equal(trainer.predict(case.x[0]), before)
    trainer.discard()
    np.testing.assert_array_equal(trainer.predict(case.x[0]), before)
    # Moments and their count are gone too: the same samples teach the same again.
    again = [trainer.step(sample, label) for sample, label in zip(case.x, case.y, strict=True)]
    assert again == losses
    # A commit sets what is there already: no bit of an output changes, and discard() keeps it.
    learned = trainer.predict(case.x[0])
    trainer.commit()
    np.testing.assert_array_equal(trainer.predict(case.x[0]), learned)
    trainer.discard()
    np.testing.assert_array_equal(trainer.predict(case.x[0]), learned)


def test_after_a_fit_the_device_goes_on_with_the_next_draw(tmp_path):
    case = make_case("plain", samples=16)
    case.model.fit(case.x, case.y, epochs=2, batch_size=8, callbacks=[case.medyate], verbose=0)
    trainer = TFLMTrainer(md.export(case.model, tmp_path, case.medyate))
    assert trainer.plan.draw == 2
    wanted = case.model.predict(case.x, verbose=0)
    got = [trainer.predict(sample) for sample in case.x]
    np.testing.assert_allclose(got, wanted, atol=1e-5)  # one forward pass of rounding
    trainer.copy_to(case.model)  # what is live in the pool follows
    np.testing.assert_array_equal(case.model.predict(case.x, verbose=0), wanted)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    case = make_case("plain", samples=8)
    folder = tmp_path_factory.mktemp("bundle")
    bundle = md.export(case.model, folder, case.medyate, representative_data=case.x)
    return case, bundle


def test_wrong_samples_and_labels_are_refused_and_change_nothing(exported):
    case, bundle = exported
    trainer = TFLMTrainer(bundle)
    sample, before = case.x[0], trainer.predict(case.x[0])
    with pytest.raises(DataError, match=r"sample: expected numbers of shape \(8, 8, 3\)"):
        trainer.step(sample[:4], 0)
    with pytest.raises(DataError, match="sample: expected numbers"):
        trainer.step(sample.astype(str), 0)
    broken = sample.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(NonFiniteDataError, match="NaN"):
        trainer.step(broken, 0)
    mixtures = ([0, 0.5, 0.5, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 2, 0, 0], [[0], [1], [0], [0]])
    for label in (-1, CLASSES, 1.0, [0, 1], "1", *mixtures, [0, np.nan, 1, 0]):
        with pytest.raises(LabelError, match="label: expected a class from 0 to 3"):
            trainer.step(sample, label)
    np.testing.assert_array_equal(trainer.predict(sample), before)


def test_a_one_hot_label_is_its_class(exported):
    case, bundle = exported
    numbers, rows = TFLMTrainer(bundle), TFLMTrainer(bundle)
    y = np.eye(CLASSES)[case.y]
    for sample, label, row in zip(case.x[:8], case.y, y, strict=False):
        assert numbers.step(sample, label) == rows.step(sample, row)
    assert numbers.accuracy(case.x, case.y) == rows.accuracy(case.x, y)


def test_a_loss_that_is_not_finite_changes_nothing(tmp_path):
    case = make_case("residual", samples=4)
    trainer = TFLMTrainer(md.export(case.model, tmp_path, case.medyate))
    sample, before = case.x[0], trainer.predict(case.x[0])
    with pytest.raises(NonFiniteLossError, match=r"finite loss; nothing was updated.*discard\(\)"):
        trainer.step(np.full_like(sample, 1e38), 0)
    np.testing.assert_array_equal(trainer.predict(sample), before)


def test_a_saved_trainer_goes_on_bit_for_bit(tmp_path):
    optimizer = Adam(0.003, gradient_accumulation_steps=2)
    case = make_case("residual", samples=9, optimizer=optimizer, budget="16KiB")
    bundle = md.export(case.model, tmp_path / "out", case.medyate)
    one = TFLMTrainer(bundle)
    samples = list(zip(case.x, case.y, strict=True))
    for sample, label in samples[:4]:
        one.step(sample, label)
    one.end_epoch()
    for sample, label in samples[4:7]:  # in the middle of a batch
        one.step(sample, label)
    one.save(tmp_path / "state.npz")
    other = TFLMTrainer.load(bundle, tmp_path / "state.npz")
    assert (other.samples, other.updates, other.epoch) == (one.samples, one.updates, one.epoch)
    for trainer in (one, other):
        trainer.losses = [trainer.step(sample, label) for sample, label in samples[7:]]
        trainer.end_epoch()
    assert other.losses == one.losses
    assert other.plan == one.plan
    for sample in case.x:
        np.testing.assert_array_equal(other.predict(sample), one.predict(sample))
    (tmp_path / "state.npz").write_bytes(b"damaged")
    with pytest.raises(BundleError, match="a saved trainer"):
        TFLMTrainer.load(bundle, tmp_path / "state.npz")


@pytest.mark.parametrize("scale", [1e19, 1e36])
def test_a_ruined_epoch_is_undone(scale, tmp_path):
    """One outlier with a finite loss: the weights are huge after it, and other losses NaN."""
    case = make_case("residual", samples=4, resample_every=2)
    trainer = TFLMTrainer(md.export(case.model, tmp_path, case.medyate))
    sample, weights = case.x[0], trainer.weights()
    before, draw = trainer.predict(sample), trainer.plan.draw
    trainer.step(sample, 0)
    with contextlib.suppress(NonFiniteLossError):
        for outlier in (sample * scale, sample, sample):
            trainer.step(outlier, 1)
    with pytest.raises(NonFiniteLossError, match="from before epoch 1 were put back"):
        trainer.end_epoch()
    np.testing.assert_array_equal(trainer.predict(sample), before)
    for name, (kernel, _) in trainer.weights().items():
        np.testing.assert_array_equal(kernel, weights[name][0])
    assert (trainer.epoch, trainer.plan.draw) == (1, draw)
    assert np.isfinite(trainer.step(sample, 0)), "training goes on"
    trainer.end_epoch()
    assert (trainer.epoch, trainer.plan.draw) == (2, draw + 1)


def test_weights_that_are_not_finite_are_not_committed(tmp_path):
    case = make_case("plain", samples=4)
    trainer = TFLMTrainer(md.export(case.model, tmp_path, case.medyate), learning_rate=3e38)
    before = trainer.predict(case.x[0])
    trainer.step(1e3 * case.x[0], 0)
    with pytest.raises(NonFiniteLossError, match=r"NaN or infinity in .*Call discard\(\)"):
        trainer.commit()
    trainer.discard()
    np.testing.assert_array_equal(trainer.predict(case.x[0]), before)
    trainer.step(1e3 * case.x[0], 0)
    with pytest.raises(NonFiniteLossError, match=r"NaN or infinity in .* in epoch 1"):
        trainer.end_epoch()
    np.testing.assert_array_equal(trainer.predict(case.x[0]), before)


def test_a_plan_of_another_export_is_refused(exported, tmp_path):
    _, bundle = exported
    other = make_case("separable", samples=8)
    md.export(other.model, tmp_path, other.medyate)
    (tmp_path / "plan.json").write_text((bundle.folder / "plan.json").read_text())
    with pytest.raises(BundleError, match="keep the files of one export together"):
        TFLMTrainer(tmp_path)
    with pytest.raises(PlanError, match="model: expected the layers of"):
        TFLMTrainer(bundle).copy_to(other.model)
    with pytest.raises(BundleError, match=r"plan.json: expected a readable plan\.json"):
        TFLMTrainer(tmp_path / "nowhere")


def test_negative_learning_rate_is_refused(exported):
    with pytest.raises(md.errors.OptionError, match="learning_rate"):
        TFLMTrainer(exported[1], learning_rate=-0.1)
