"""The exported folder: its files, its limits, and what happens when they are damaged or wrong."""

import json

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as LiteRt
from exported import ready
from random_models import small_net

import tf_medyate as md
from tf_medyate.errors import NotPreparedError, OptionError, UnsupportedLayerError
from tf_medyate.exporter import ArenaLimitError
from tf_medyate.exporter.manifest import BundleError, read_file, read_manifest
from tf_medyate.files import OutputError
from tf_medyate.spec import format_bytes

L = keras.layers
SGD = keras.optimizers.SGD
PLAN, TRAIN = "plan.json", "train.tflite"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    model, medyate, x = ready()
    folder = tmp_path_factory.mktemp("bundle") / "made" / "again"
    return model, md.export(model, folder, medyate, representative_data=x), x


def test_an_older_export_goes_as_a_whole_and_what_is_not_ours_stays(tmp_path, monkeypatch):
    model, medyate, x = ready()
    sketch = tmp_path / "arduino" / "MeDyate" / "examples" / "Mine" / "Mine.ino"
    firmware = md.FirmwareOptions(arduino=True)
    md.export(model, tmp_path, medyate, representative_data=x, firmware=firmware)
    sketch.parent.mkdir()
    sketch.write_text("void setup() {}")
    (tmp_path / "notes.txt").write_text("mine")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert len(before) > 50

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tf_medyate.exporter.bundle.write_manifest", full)
    with pytest.raises(OutputError, match="No space left"):
        md.export(model, tmp_path, medyate)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    monkeypatch.undo()
    md.export(model, tmp_path, medyate)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    mine = {"notes.txt", str(sketch.relative_to(tmp_path))}
    assert left == {"model.tflite", "model.keras", TRAIN, PLAN, *mine}
    # A library that is not ours is told of before anything is written.
    other = tmp_path / "arduino" / "MeDyate" / "library.properties"
    other.write_text("name=Other\n")
    with pytest.raises(OptionError, match="one with the library MeDyate"):
        md.export(model, tmp_path, medyate, firmware=firmware)


def test_a_models_name_is_shown_by_hosts_and_terminals(tmp_path):
    model, medyate, _ = ready(keras.models.clone_model(small_net()))
    model.name = "evil\x1b[2J"
    with pytest.raises(OptionError, match=r"model\.name: expected .* without control characters"):
        md.export(model, tmp_path / "out", medyate)
    assert not (tmp_path / "out").exists()


def test_every_file_is_there_and_says_what_it_is(bundle):
    model, made, x = bundle
    names = {path.name for path in made.folder.iterdir()}
    assert names == {"model.tflite", "model_int8.tflite", "model.keras", TRAIN, PLAN}
    manifest = read_manifest(made.folder / PLAN)
    assert manifest == made.manifest
    assert [layer.name for layer in manifest.layers] == [s.name for s in md.layer_specs(model)]
    kept = [layer for layer in manifest.layers if layer.drawn]
    assert kept
    assert all(len(layer.prior) == layer.channels for layer in kept)
    assert manifest.memory.pool_bytes == 6 * 1024
    assert manifest.sampler.sharpness in (0.5, 1, 2), 'what "auto" came to'
    assert manifest.versions["tf_medyate"] == md.__version__
    printed = str(made)
    assert "pool 6 KiB" in printed
    assert f"arena {made.arena.total_bytes:,} bytes" in printed
    assert len(repr(made)) < 200
    assert all(f">{name}</td>" in made._repr_html_() for name in (TRAIN, "model.tflite"))
    for name in ("model.tflite", "model_int8.tflite"):
        runtime = LiteRt(model_path=str(made.folder / name))
        runtime.allocate_tensors()
        assert tuple(runtime.get_input_details()[0]["shape"]) == (1, *x.shape[1:])


def test_the_arena_limit_is_kept_or_the_missing_bytes_are_said(tmp_path):
    model, medyate, _ = ready()
    roomy = md.export(model, tmp_path, medyate).arena.total_bytes
    tight = md.export(model, tmp_path, medyate, arena_limit=roomy).arena.total_bytes
    assert tight <= roomy
    with pytest.raises(ArenaLimitError, match="Largest at the peak, op") as error:
        md.export(model, tmp_path / "no", medyate, arena_limit="5KiB")
    assert error.value.excess_bytes > 0
    assert not (tmp_path / "no").exists(), "nothing is written"
    needed = int(str(error.value).split("at least ")[1].split(" ")[0].replace(",", ""))
    assert needed - 5 * 1024 == error.value.excess_bytes
    fits = md.export(model, tmp_path, medyate, arena_limit=needed)
    assert md.simulate.TFLMTrainer(fits).arena_bytes <= needed


@pytest.mark.parametrize("budget", ["64KiB", 10**9, 10**14])
def test_the_pool_is_no_larger_than_what_a_draw_can_fill(budget, tmp_path):
    options = {"layers": ["stem", "body", "point"], "optimizer": SGD(0.05, momentum=0.5)}
    model, medyate, x = ready(budget=budget, **options)
    bundle = md.export(model, tmp_path, medyate)
    specs = [s for s in medyate.specs if s.name in options["layers"]]
    most = medyate.cost.fixed(medyate.specs, options["layers"])
    most += sum(s.channels * medyate.cost.channel(s) for s in specs)
    assert bundle.manifest.memory.pool_bytes == most < 64 * 1024
    assert f"{format_bytes(most)}: room for every channel of these layers" in str(bundle)
    trainer = md.simulate.TFLMTrainer(bundle)
    assert {d.layer: len(d.channels) for d in trainer.plan.layers} == {
        s.name: s.channels for s in specs
    }
    assert np.isfinite(trainer.step(x[0], 0))


@hypothesis.given(st.data())
@hypothesis.settings(
    max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_flipped_bytes_are_found(bundle, tmp_path, data):
    """Of plan.json and train.tflite: an error that names the file, before TFLM sees a byte."""
    _, made, _ = bundle
    name = data.draw(st.sampled_from([PLAN, TRAIN]))
    content = bytearray((made.folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for path in made.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes(bytes(content))
    # Three flips may undo one another, or touch white space alone.
    same = bytes(content) == (made.folder / name).read_bytes()
    if same or (name == PLAN and _loads_as(content, _plan_of(made))):
        read_file(tmp_path, TRAIN, read_manifest(tmp_path / PLAN))
        return
    with pytest.raises(BundleError, match=name):
        read_file(tmp_path, TRAIN, read_manifest(tmp_path / PLAN))


def _loads_as(content: bytearray, wanted: dict) -> bool:
    try:
        return json.loads(content.decode()) == wanted
    except ValueError:
        return False


def _plan_of(made) -> dict:
    return json.loads((made.folder / PLAN).read_text())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "else"}, "Export the model again"),
        ({"format_version": 99}, "version 99"),
        ({"op_schema_version": 1}, "content that its digest fits"),
    ],
)
def test_a_plan_of_another_version_is_refused(bundle, tmp_path, change, message):
    content = _plan_of(bundle[1]) | change
    (tmp_path / PLAN).write_text(json.dumps(content))
    with pytest.raises(BundleError, match=message):
        read_manifest(tmp_path / PLAN)
    (tmp_path / PLAN).write_text("[" * 100_000)
    with pytest.raises(BundleError, match="readable"):
        read_manifest(tmp_path / PLAN)


def test_a_consistent_plan_of_other_types_is_refused(bundle, tmp_path):
    from tf_medyate.exporter import manifest as module

    for name, value in [("model", 3), ("layers", {}), ("memory", None), ("input_shape", [1.5])]:
        content = _plan_of(bundle[1])
        del content["digest"]
        content[name] = value
        content["digest"] = module._digest(content)
        (tmp_path / PLAN).write_text(json.dumps(content))
        with pytest.raises(BundleError, match=name):
            read_manifest(tmp_path / PLAN)


def test_what_does_not_belong_together_is_refused(tmp_path):
    model, medyate, _ = ready()
    other, *_ = ready()
    with pytest.raises(md.errors.PlanError, match="attached to another model"):
        md.export(other, tmp_path, medyate)
    with pytest.raises(NotPreparedError):
        md.export(small_net(), tmp_path, medyate)
    with pytest.raises(NotPreparedError, match=r"set_model\(model\)"):
        md.export(model, tmp_path, md.MeDyate("6KiB"))
    with pytest.raises(OptionError, match="a MeDyate callback"):
        md.export(model, tmp_path, "medyate")
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(OptionError, match="a folder"):
        md.export(model, file, medyate)
    with pytest.raises(OptionError, match="bytes"):
        md.export(model, tmp_path, medyate, arena_limit="100 elements")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": keras.optimizers.Lion()}, "keras.optimizers.SGD"),
        ({"optimizer": SGD(0.1, clipnorm=1.0)}, "global_clipnorm"),
        ({"optimizer": SGD(0.1, global_clipnorm=1.0)}, "clipvalue"),
        ({"optimizer": SGD(0.1, use_ema=True)}, "use_ema"),
        ({"loss": "msle"}, "MeanSquaredError"),
        ({"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}, "from_logits"),
        ({"strategy": "velocity"}, "a strategy that a device can run"),
        ({"device_batch": 4}, "device_batch=1"),
        ({"budget": "2000 weights"}, "a budget in bytes or elements"),
    ],
)
def test_what_a_device_cannot_run_is_refused(options, message, tmp_path):
    loss = options.get("loss")
    if loss == "msle":
        options = {"strategy": "head", "budget": None, **options}
    optimizer, loss = options.pop("optimizer", None), options.pop("loss", None)
    model, medyate, _ = ready(optimizer=optimizer, loss=loss, **{"budget": "20KiB", **options})
    with pytest.raises(OptionError, match=message):
        md.export(model, tmp_path, medyate)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: L.Activation("squareplus"), "one of keras.activations, itself"),
        (lambda: L.ELU(-0.5), "alpha not below 0; received -0.5"),
    ],
)
def test_layers_that_cannot_be_exported_are_named(layer, message, tmp_path):
    inputs = keras.Input((6,))
    x = layer()(L.Dense(8, name="first")(inputs))
    base = keras.Model(inputs, L.Dense(3, activation="softmax", name="head")(x))
    model, medyate, _ = ready(base, budget="2KiB")
    with pytest.raises(UnsupportedLayerError, match=message):
        md.export(model, tmp_path, medyate)


def test_a_dilated_transposed_convolution_is_refused_before_it_is_trained():
    inputs = keras.Input((4, 4, 2))
    x = L.Flatten()(L.Conv2DTranspose(2, 2, dilation_rate=2, name="wide")(inputs))
    model = md.prepare(keras.Model(inputs, L.Dense(3, activation="softmax")(x)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(UnsupportedLayerError, match=r"'wide'.*dilation_rate=1; received \(2, 2\)"):
        md.check_export(model, md.MeDyate("2KiB", verbose=0))
