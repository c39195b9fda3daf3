"""`medyate device` with a real trainer at the other end of the line."""

import keras
import numpy as np
import pytest
from trainer_board import (
    NAMES,
    Board,
    build_board,
    exported,
    medyate_device,
    samples,
)

import tf_medyate as md
from tf_medyate.device import DeltaError, DeviceClient, DeviceError, Region
from tf_medyate.device.applying import region_of
from tf_medyate.errors import OptionError

pytestmark = pytest.mark.usefixtures("quick_export")

L = keras.layers


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    """Folders and programs: with a factory copy, without one, and of another model."""
    folder = tmp_path_factory.mktemp("firmware")
    exports = [
        exported(folder / "copy", True),
        exported(folder / "bare", False),
        exported(folder / "other", True, seed=4),
    ]
    return [(export, build_board(export)) for export in exports]


@pytest.fixture
def data(tmp_path):
    """Four classes, the last of which the model has never seen."""
    x, y = samples(64, 2)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    return tmp_path / "data.npz"


def scores(board, x):
    return np.array([board.predict(sample) for sample in x])


def test_learns_a_new_class_and_takes_it_to_another_board(firmware, data, tmp_path, capsys):
    export, program = firmware[0]
    named = ("--export", export)
    delta, tuned = tmp_path / "learned.delta", tmp_path / "tuned.keras"
    x, y = samples(40, 9)
    with Board(program, tmp_path / "flash") as board:
        words = ("train", data, "--epochs", 4, "--names", "hüpfen", "--delta", delta)
        keras_words = ("--model", export / "base.keras", "--out", tuned)
        medyate_device(board.name, *named, *words, *keras_words)
        with DeviceClient.open(board.name) as client:
            learned = scores(client, x)
            weights = client.pull()
            assert client.names() == dict(enumerate([*NAMES, "hüpfen"]))
            assert "5 classes (2 of them spare at the factory)" in str(client.info)
    printed = " ".join(capsys.readouterr().out.split())
    assert "Class 3 is new to the board: 'hüpfen'." in printed
    assert np.mean(learned.argmax(-1) == y) > 0.9
    assert (learned[:, 4] == 0).all()  # still spare
    # The Keras model has what the board has.
    model = keras.models.load_model(tuned, compile=False)
    np.testing.assert_allclose(model.predict(x, verbose=0), learned, atol=1e-5)
    # It outlives the program, and goes to another board.
    with Board(program, tmp_path / "flash") as board, DeviceClient.open(board.name) as client:
        assert client.pull() == weights
    with Board(program, tmp_path / "other") as board:
        medyate_device(board.name, *named, "push", "--delta", delta)
        with DeviceClient.open(board.name) as client:
            np.testing.assert_array_equal(scores(client, x), learned)
            assert client.names()[3] == "hüpfen"
            assert client.status().named_classes == 4
        capsys.readouterr()
        medyate_device(board.name, "status", "--commits_per_day", 10)
        printed = " ".join(capsys.readouterr().out.split())
        assert "4 in use, 1 spare: 0 rest, 1 walk, 2 jump, 3 hüpfen" in printed
        assert "2.7 years at 10 a day" in printed
        assert "well" in printed


def test_a_delta_without_names_gives_its_classes_numbers(firmware, data, tmp_path):
    export, program = firmware[0]
    delta = tmp_path / "learned.delta"
    with Board(program, tmp_path / "flash") as board:
        words = ("train", data, "--epochs", 1, "--delta", delta)
        medyate_device(board.name, "--export", export, *words)
    delta.with_suffix(".names").unlink()
    with Board(program, tmp_path / "other") as board:
        medyate_device(board.name, "--export", export, "push", "--delta", delta)
        with DeviceClient.open(board.name) as client:
            assert client.names() == dict(enumerate([*NAMES, "class 3"]))


def damage(flash, where):
    """Two bits decay in a weight, or in the sequence number of each head."""
    content = bytearray(flash.read_bytes())
    heads = [page for page in range(0, len(content), 4096) if content[page : page + 2] == b"MD"]
    assert heads
    for byte in [9] if where == "weights" else [head + 8 for head in heads]:
        content[byte] ^= 0x21
    flash.write_bytes(content)


@pytest.mark.parametrize("damaged", ["", "weights", "journal"])
@pytest.mark.parametrize("kind", [0, 1])
def test_reset_takes_the_factory_weights_from_board_or_export(
    firmware, data, tmp_path, kind, damaged, capsys
):
    export, program = firmware[kind]
    factory = (export / "weights.bin").read_bytes()
    with Board(program, tmp_path / "flash") as board:
        medyate_device(board.name, "train", data, "--epochs", 1)
        with DeviceClient.open(board.name) as client:
            assert client.pull() != factory
            assert len(client.names()) == 4
    if damaged:
        damage(tmp_path / "flash", damaged)
    with Board(program, tmp_path / "flash") as board:
        if damaged:
            why = {"weights": "STORE_WEIGHTS_CHANGED", "journal": "STORE_JOURNAL_DAMAGED"}[damaged]
            capsys.readouterr()
            medyate_device(board.name, "status")
            assert why in capsys.readouterr().out
            with DeviceClient.open(board.name) as client:
                with pytest.raises(DeviceError, match=f"{why}.*reset"):
                    client.pull()
                assert len(client.names()) == (4 if damaged == "weights" else 3)
        if kind == 1:
            with pytest.raises(DeviceError, match=r"NO_FACTORY_COPY.*--export DIR reset"):
                medyate_device(board.name, "reset")
        medyate_device(board.name, "--export", export, "reset")
        with DeviceClient.open(board.name) as client:
            assert client.pull() == factory
            assert client.names() == dict(enumerate(NAMES))
            assert client.status().named_classes == 3


def test_other_models_are_refused_unless_asked_for(firmware, data, tmp_path):
    export, program = firmware[0]
    other_export, other_program = firmware[2]
    values, differences = tmp_path / "values.delta", tmp_path / "differences.delta"
    with Board(program, tmp_path / "flash") as board:
        medyate_device(board.name, "train", data, "--epochs", 1)
        medyate_device(board.name, "--export", export, "pull", "--delta", values)
        words = ("pull", "--differences", "--delta", differences)
        medyate_device(board.name, "--export", export, *words)
        with pytest.raises(DeviceError, match="OTHER_MODEL"):
            medyate_device(board.name, "--export", other_export, "pull")
        learned = board_weights(board.name)
    factories = [np.fromfile(path / "weights.bin", "<f4") for path in (export, other_export)]
    with Board(other_program, tmp_path / "other") as board:
        named = ("--export", other_export, "push", "--delta")
        with pytest.raises(DeltaError, match="one of model"):
            medyate_device(board.name, *named, values)
        with pytest.raises(DeltaError, match="Pull with --differences"):
            medyate_device(board.name, *named, values, "--any_model")
        medyate_device(board.name, *named, differences, "--any_model")
        expected = factories[1] + (learned - factories[0])
        # The same two roundings; a spare bias of -10,000 is larger than what is added to it.
        np.testing.assert_array_equal(board_weights(board.name), expected)


def board_weights(port):
    with DeviceClient.open(port) as client:
        return np.frombuffer(client.pull(), "<f4")


def test_enrols_by_name_and_checks_names(firmware, data, tmp_path):
    _, program = firmware[0]
    with Board(program, tmp_path / "flash") as board:
        with pytest.raises(OptionError, match=r"1 names, of the classes \[3\]"):
            medyate_device(board.name, "train", data, "--names", "a,b")
        medyate_device(board.name, "enrol", "spin")
        for name, status in [
            ("spin", "NAME_TAKEN"),
            ("rest", "NAME_TAKEN"),
        ]:
            with pytest.raises(DeviceError, match=status):
                medyate_device(board.name, "enrol", name)
        with pytest.raises(OptionError, match="1 to 60 bytes"):  # before the board is asked
            medyate_device(board.name, "enrol", "x" * 61)
        medyate_device(board.name, "enrol", "fall")
        with pytest.raises(DeviceError, match=r"NO_SPARE_CLASS.*more spare outputs"):
            medyate_device(board.name, "enrol", "more")
        with DeviceClient.open(board.name) as client:
            with pytest.raises(DeviceError, match=r"PUSH_OF_OTHER_SIZE.*Push the whole region"):
                client.push(b"1234")
            with pytest.raises(DeviceError, match="LABEL_OUT_OF_RANGE"):
                client.push(b"4\tfall\n", Region.NAMES)
            client.push(b"3\tturn\n", Region.NAMES)
            assert client.names() == dict(enumerate([*NAMES, "turn"]))


def test_restarts_between_any_two_draws_change_nothing(tmp_path):
    """With 900 channels to draw from: their importances are kept, too."""
    keras.utils.set_random_seed(5)
    base = keras.Sequential([L.Input((900,)), L.Dense(4, activation="relu"), L.Dense(3)])
    model = md.prepare(base)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss)
    x = np.random.default_rng(6).normal(size=(8, 900)).astype(np.float32)
    y = np.arange(8) % 3
    plan = md.MeDyate("2KiB", calibration=(x, y), verbose=0)
    plan.set_model(model)
    md.export(model, tmp_path / "wide", plan, firmware=md.FirmwareOptions())
    program = build_board(tmp_path / "wide")

    def epoch(client):
        losses = [client.step(sample, label) for sample, label in zip(x, y, strict=True)]
        client.end_epoch()
        return losses, client.status().draw, client.pull()

    with Board(program, tmp_path / "through") as board, DeviceClient.open(board.name) as client:
        through = [epoch(client) for _ in range(5)]
    for expected in through:
        with Board(program, tmp_path / "flash") as board, DeviceClient.open(board.name) as client:
            assert epoch(client) == expected
    assert len({weights for *_, weights in through}) == 5


def test_samples_that_are_held_back_are_counted(firmware, data, tmp_path):
    _, program = firmware[0]
    with Board(program, tmp_path / "flash", hold_every=4) as board:
        medyate_device(board.name, "train", data, "--epochs", 1)
        with DeviceClient.open(board.name) as client:
            assert client.status().held_samples == 13  # of 52


def test_the_factory_weights_are_those_of_the_keras_model(firmware):
    export, _ = firmware[0]
    model = md.prepare(keras.models.load_model(export / "base.keras", compile=False))
    read = md.device.read_export(export)
    np.testing.assert_array_equal(region_of(model, read.layout), read.factory)
