"""The command line, as a newcomer types it."""

import io
import signal

import keras
import numpy as np
import pytest
from command_line import medyate
from fake_board import FakeBoard
from random_models import random_data, small_net

import tf_medyate as md
from tf_medyate import cli
from tf_medyate.commands import learning, screen, training
from tf_medyate.commands.class_names import names_beside
from tf_medyate.commands.dataset import BINARY, Dataset, read_data
from tf_medyate.commands.losses import keras_loss, score
from tf_medyate.device import read_export
from tf_medyate.device.applying import region_of
from tf_medyate.errors import OptionError


def quick_net():
    """Two layers to draw from and a head: little to trace."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(inputs)
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu", name="body")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="head")(x))


@pytest.fixture
def files(tmp_path):
    model = quick_net()
    model.save(tmp_path / "model.keras")
    x, y = random_data(model, 40)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    return tmp_path


def test_finetune_writes_a_model_and_a_report(files, capsys):
    out, report = files / "sub" / "tuned.keras", files / "sub" / "report.html"
    common = ["--model", files / "model.keras", "--data", files / "data.npz", "--epochs", 2]
    assert medyate("finetune", *common, "--budget", "12KiB", "--out", out, "--report", report) == 0
    printed = capsys.readouterr().out
    assert "12 KiB" in printed
    assert "before" in printed
    assert "accuracy on the validation data: " in printed
    assert "% after." in printed
    tuned = keras.models.load_model(out)
    assert type(tuned).__name__ == "Functional"
    kernel = tuned.get_layer("head").get_weights()[0]
    assert (
        kernel != keras.models.load_model(files / "model.keras").get_layer("head").get_weights()[0]
    ).any()
    page = report.read_text()
    assert "<html" in page
    assert "validation accuracy" in page.split('class="lead"')[1].split("</p>")[0]
    for name in ("report.txt", "report.json"):
        assert medyate("finetune", *common, "--budget", "12KiB", "--out", out,
                       "--report", files / name) == 0  # fmt: skip
        assert (files / name).stat().st_size > 500


def test_rank_prints_every_layer(files, capsys):
    small_net().save(files / "model.keras")
    common = ["--model", files / "model.keras", "--data", files / "data.npz"]
    assert medyate("rank", *common, "--top_k", 2, "--batches", 2) == 0
    printed = capsys.readouterr().out
    assert "lara ranking: 2 of 5 layers kept" in printed
    assert "(the number asked for)" in printed
    assert "separable.depthwise" in printed
    assert medyate("rank", *common, "--ranking", "fisher", "--batches", 3) == 0
    ranking = files / "ranking.json"
    words = ["--epochs", 2, "--budget", "300 elements", "--save", ranking]
    assert medyate("rank", *common, *words) == 0
    assert "<= 0.2" in capsys.readouterr().out
    words = ["--ranking", ranking, "--budget", "300 elements", "--epochs", 1]
    assert medyate("finetune", *common, *words, "--out", files / "tuned.keras",
                   "--report", files / "report.txt") == 0  # fmt: skip
    assert "<= 0.2" in capsys.readouterr().out
    words = ["--batches", 2, "--budget", "3KiB", "--board", "nano33ble"]
    assert medyate("rank", *common, *words) == 0
    printed = capsys.readouterr().out
    assert "best layers that fit the Arduino Nano 33 BLE" in printed
    assert "lara ranking: " in printed
    assert medyate("rank", *common, *words, "--flash_limit", "100KiB") == 2
    assert "factory_copy" in capsys.readouterr().err
    assert medyate("rank", *common, "--save", files / "ranking.txt") == 2
    folder = files / "pictures"
    assert medyate("rank", *common, "--batches", 2, "--epochs", 2, "--diagnose", folder) == 0
    assert len(list(folder.glob("*.png"))) >= 2


def test_compare_prints_a_row_a_strategy_and_those_before_one_that_is_refused(files, capsys):
    words = ["--model", files / "model.keras", "--data", files / "data.npz", "--epochs", 1]
    words += ["--strategies", "head,trady,full,su", "--budget"]
    assert medyate("compare", *words, "12KiB") == 2
    printed, said = capsys.readouterr()
    assert all(name in printed for name in ("before", "head", "trady", "full", "accuracy"))
    assert "papers' nets for 'su'" in said
    assert medyate("compare", *words, "0") == 2
    assert "before" not in capsys.readouterr().out, "nothing is trained for a wrong budget"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--model": "nowhere.keras"}, ["--model", "nowhere.keras", "existing file"]),
        ({"--budget": "8 parsecs"}, ["budget", "8 parsecs", "64KiB"]),
        ({"--budget": "300B"}, ["budget", "at least", "300 bytes"]),
        ({"--data": "bad.npz"}, ["--data", "arrays named x and y", "z"]),
        ({"--data": "short.npz"}, ["one length", "5 x and 4 y"]),
        ({"--data": "labels.npz"}, ["class labels from 0 to 2", "9"]),
        ({"--data": "model.keras"}, ["--data", "numpy.savez"]),
        ({"--model": "data.npz"}, ["--model", "Keras model file"]),
        ({"--report": "report.pdf"}, ["--report", ".html"]),
        ({"--strategy": "medjate"}, ["medyate"]),
    ],
)
def test_mistakes_are_explained_without_a_traceback(files, capsys, change, words):
    x, y = random_data(quick_net(), 10)
    np.savez(files / "bad.npz", z=x)
    np.savez(files / "short.npz", x=x[:5], y=y[:4])
    np.savez(files / "labels.npz", x=x, y=y + 9)
    flags = {"--model": "model.keras", "--data": "data.npz", "--budget": "12KiB", "--epochs": 1,
             "--out": "t.keras", "--report": "r.html"} | change  # fmt: skip
    for name in ("--model", "--data", "--out", "--report"):
        flags[name] = files / flags[name]
    assert medyate("finetune", *[word for pair in flags.items() for word in pair]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("medyate finetune: ")
    assert all(word in printed for word in words), printed


def test_outputs_that_cannot_be_written_are_told_before_the_first_epoch(files, capsys, monkeypatch):
    monkeypatch.setattr("tf_medyate.commands.common.load", lambda _: pytest.fail("it has begun"))
    (files / "folder.keras").mkdir()
    words = ["finetune", "--model", files / "model.keras", "--data", files / "data.npz"]
    good = {"--out": files / "t.keras", "--report": files / "r.html"}
    for change, expected in [
        ({"--report": files / "r.pdf"}, "--report: expected a file ending in .html"),
        ({"--out": files / "t.foo"}, "--out: expected a file ending in .keras"),
        ({"--out": files / "folder.keras"}, "received the folder"),
        ({"--out": "/proc/here/t.keras"}, "--out: expected a place that can be written to"),
        ({"--report": "/proc/here/r.html"}, "--report: expected a place"),
    ]:
        flags = [word for pair in (good | change).items() for word in pair]
        assert medyate(*words, *flags) == 2
        assert expected in capsys.readouterr().err
    assert medyate("export", *words[1:], "--out", "/proc/here") == 2
    assert medyate("rank", *words[1:], "--diagnose", "/proc/here") == 2
    assert capsys.readouterr().err.count("a place that can be written to") == 2
    assert not list(files.glob("*.part"))


def test_the_model_is_written_before_the_report_and_the_old_one_stays(files, monkeypatch, capsys):
    out = files / "t.keras"
    words = [
        "finetune",
        "--model",
        files / "model.keras",
        "--data",
        files / "data.npz",
        "--budget",
        "12KiB",
        "--epochs",
        1,
        "--out",
        out,
        "--report",
        files / "r.txt",
    ]

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tf_medyate.commands.finetune._save_report", fails)
    assert medyate(*words) == 2
    before = out.read_bytes()
    monkeypatch.setattr("tf_medyate.files._flush", fails)
    assert medyate(*words) == 2
    assert "No space left" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert sorted(p.name for p in files.iterdir()) == ["data.npz", "model.keras", "t.keras"]


def test_a_loss_that_becomes_infinite_leaves_the_last_good_epoch(files, monkeypatch, capsys):
    """Hours of training before it are not lost."""
    words = ["finetune", "--model", files / "model.keras", "--data", files / "data.npz",
             "--budget", "12KiB", "--epochs", 3, "--report", files / "r.txt",
             "--out", files / "t.keras"]  # fmt: skip
    kept = md.MeDyate.end_epoch

    def diverging(from_epoch):
        def end_epoch(self, logs=None):
            if self._epoch >= from_epoch:
                self._undo("infinity")
            kept(self, logs)

        monkeypatch.setattr(md.MeDyate, "end_epoch", end_epoch)

    diverging(2)
    assert medyate(*words) == 0
    printed = capsys.readouterr()
    assert "warning: medyate stopped early" in printed.err
    assert "Lower the learning rate" in printed.err
    assert "2 epochs in" in (files / "r.txt").read_text()
    (files / "t.keras").unlink()
    diverging(0)
    assert medyate(*words) == 2
    assert "Lower the learning rate" in capsys.readouterr().err
    assert not (files / "t.keras").exists()


@pytest.mark.parametrize(
    ("epoch", "times", "said"),
    [
        (2, 1, "stopped after epoch 2 of 3; {} holds the model of that epoch."),
        (0, 1, "stopped in the first epoch; nothing was written."),
        (1, 2, "stopped at once; nothing was written."),
    ],
)
def test_ctrl_c_leaves_the_last_whole_epoch(files, monkeypatch, capsys, epoch, times, said):
    rate = training.cosine
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job may ignore it

    def pressed(*args):
        for _ in range(times if args[1] == epoch / 3 else 0):
            signal.raise_signal(signal.SIGINT)
        return rate(*args)

    monkeypatch.setattr(training, "cosine", pressed)
    words = ["--model", files / "model.keras", "--data", files / "data.npz", "--epochs", 3]
    out, report = files / "t.keras", files / "r.txt"
    words += ["--budget", "12KiB", "--out", out, "--report", report]
    assert medyate("finetune", *words) == 130
    printed = capsys.readouterr().err
    assert said.format(out) in printed
    assert "Traceback" not in printed
    assert out.exists() == report.exists() == (epoch == 2)
    if epoch == 2:
        assert "2 epochs in" in report.read_text()
        keras.models.load_model(out)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


L = keras.layers


@pytest.mark.parametrize(
    ("head", "y", "loss", "kind"),
    [
        ([L.Dense(3, "softmax")], [0, 1, 2, 0], "SparseCategoricalCrossentropy", "classes"),
        ([L.Dense(3)], [0.0, 1.0, 2.0, 0.0], "SparseCategoricalCrossentropy", "classes"),
        ([L.Dense(3), L.Softmax()], np.eye(3)[[0, 1, 2, 0]], "CategoricalCrossentropy", "one-hot"),
        ([L.Dense(1, "sigmoid")], [0, 1, 1, 0], "BinaryCrossentropy", "zeros and ones"),
        ([L.Dense(1)], [0, 1, 1, 0], "mean_squared_error", "targets"),
        ([L.Dense(1)], [0.5, 1, 1, 0], "mean_squared_error", "targets"),
        ([L.Dense(3)], np.ones((4, 3)) / 2, "mean_squared_error", "targets"),
    ],
)
def test_the_loss_goes_by_labels_and_outputs(tmp_path, head, y, loss, kind):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), L.Dense(4, "relu"), *head])
    x = np.ones((4, 2), np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=y, x_val=x, y_val=y)
    data = read_data(str(tmp_path / "d.npz"), (2,), model.output_shape[1:])
    found, found_kind = keras_loss("auto", model, data)
    assert found_kind.startswith(kind)
    if isinstance(found, str):
        assert found == loss
    else:
        assert type(found).__name__ == loss
        assert getattr(found, "from_logits", False) == (head == [head[0]] and head[0].activation
                                                        is keras.activations.linear)  # fmt: skip
    value = score(model, data.x_val, data.y_val, found_kind)
    assert value >= 0
    if found_kind != "targets":
        assert value <= 1
    with pytest.raises(OptionError, match="Did you mean categorical_crossentropy"):
        keras_loss("categorical_crossentropi", model, data)


def test_regression_and_names_are_understood(files, capsys):
    x, y = random_data(quick_net(), 20)
    np.savez(files / "mse.npz", x=x, y=np.eye(3)[y] * 0.5, x_val=x[:4], y_val=np.eye(3)[y[:4]])
    words = ["finetune", "--model", files / "model.keras", "--epochs", 1, "--budget", "12KiB",
             "--out", files / "t.keras", "--report", files / "r.txt"]  # fmt: skip
    assert medyate(*words, "--data", files / "mse.npz") == 0
    assert "mean squared error on the validation data" in capsys.readouterr().out
    np.savez(files / "names.npz", x=x, y=np.array(["[/b]", ":cat:", "eel"])[y], x_test=x)
    assert medyate(*words, "--data", files / "names.npz") == 0
    printed = capsys.readouterr().out
    assert "Classes: 0 :cat:, 1 [/b], 2 eel" in printed
    assert "Not used of" in printed
    assert ": x_test." in printed
    # They lie beside the model: the order stays, whatever other data hold.
    assert (files / "t.names").read_text() == "0\t:cat:\n1\t[/b]\n2\teel\n"
    np.savez(files / "two.npz", x=x[y > 0], y=np.array(["", "[/b]", "eel"])[y[y > 0]])
    again = ["rank", "--model", files / "t.keras", "--batches", 1, "--data"]
    assert medyate(*again, files / "two.npz") == 0
    assert "Classes: 0 :cat:, 1 [/b], 2 eel" in capsys.readouterr().out
    np.savez(files / "other.npz", x=x, y=y, classes=["a", "b", "c"])
    assert medyate(*again, files / "other.npz") == 2
    assert "the model's ':cat:', '[/b]', 'eel'; received 'a', 'b', 'c'" in capsys.readouterr().err
    assert medyate(*words, "--data", files / "data.npz") == 0
    assert not (files / "t.names").exists(), "of another model"


def test_help_needs_no_reading_elsewhere(capsys):
    for words in (["--help"], []):
        with pytest.raises(SystemExit) as ended:
            medyate(*words)
        assert ended.value.code == 0
        printed = capsys.readouterr().out
        assert all(name in printed for name in ("demo", "finetune", "rank", "compare"))
    for command in ("finetune", "rank", "compare", "export", "simulate", "device", "emulate"):
        with pytest.raises(SystemExit):
            medyate(command, "--help")
        assert f"  medyate {command} " in capsys.readouterr().out, "an example"


def test_ctrl_c_while_tensorflow_is_imported_is_no_traceback(monkeypatch, capsys):
    def stopped():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_import_tensorflow_quietly", stopped)
    assert medyate("demo") == 130
    assert capsys.readouterr().err == "medyate demo: stopped.\n"


def test_hyphens_and_mistyped_words(capsys):
    args = cli.parse(["finetune", "--model", "m", "--data=a-b", "--batch-size", "3", "--out=t-u"])
    assert (args.batch_size, args.data, args.out) == (3, "a-b", "t-u")
    assert cli.parse(["device-demo"]).command == "device_demo"
    flags = ["--port", "p", "--export", "e"]
    assert cli.parse(["device", *flags, "push", "--any_model", "x.delta"]).delta == "x.delta"
    assert cli.parse(["device", *flags, "push", "--delta", "x.delta"]).delta == "x.delta"
    assert cli.parse(["device", *flags, "pull"]).delta == "learned.delta"
    for train in (["--epochs", "3", "d.npz"], ["d.npz", "--epochs", "3"], ["--data", "d.npz"]):
        assert cli.parse(["device", *flags, "train", *train]).data == "d.npz"
    finetune = ["finetune", "--model", "m", "--data", "d"]
    for words, expected in [
        (["fintune"], "did you mean finetune?"),
        ([*finetune, "--batchsize", "3"], "did you mean --batch_size?"),
        ([*finetune, "more"], "unrecognized arguments: more"),
        ([*finetune, "--epochs", "0"], "1 or more; received '0'"),
        ([*finetune, "--learning_rate", "nan"], "a number above 0"),
        ([*finetune, "--seed", "-1"], "a whole number of 0 to 4294967295; received '-1'"),
        (["export", *finetune[1:], "--momentum", "2"], "a number of 0 to 1; received '2'"),
        (["bench", "--retries", "one"], "a whole number of -1 or more; received 'one'"),
        (["emulate", "out", "--port", "65536"], "0 to 65535"),
        (["finetune"], "required: --model, --data"),
    ]:
        with pytest.raises(SystemExit) as ended:
            cli.parse(words)
        assert ended.value.code == 2
        assert expected in capsys.readouterr().err


def test_a_progress_bar_ends_with_the_time_that_it_took():
    from rich.console import Console

    shown = Console(file=io.StringIO(), width=120)
    with screen.epoch_progress(2) as bar:
        task = bar.add_task("text", total=1, epoch=2, loss=float("nan"))
        shown.print(bar.make_tasks_table(bar.tasks))
        assert "loss -" in shown.file.getvalue()
        bar.update(task, advance=1)
        bar.tasks[0].finished_time = 61.0
        shown.print(bar.make_tasks_table(bar.tasks))
    assert "0:01:01" in shown.file.getvalue()


def pulled_with_spare_classes(bundle, tmp_path, monkeypatch):
    """What `device pull` makes of a board with that export, and of what it learned."""
    exported = read_export(bundle)
    weights = exported.factory.copy()
    weights[exported.layout.places[0].kernel_offset] += 1
    names = "0\tleft\n1\tright\n2\tup\n3\tnew\n"
    model_hash = exported.layout.model_hash
    board = FakeBoard(weights, names, model_hash, classes=4, sides=(8, 8, 3))
    monkeypatch.setattr("tf_medyate.device.client.open_transport", lambda *_: board)
    start = [
        "device",
        "--port",
        "fake",
        "--export",
        bundle,
        "pull",
        "--delta",
        tmp_path / "l.delta",
    ]
    assert medyate(*start, "--out", tmp_path / "pulled.keras") == 0
    assert names_beside(tmp_path / "pulled.keras") == ("left", "right", "up", "new")
    tuned = md.prepare(keras.models.load_model(tmp_path / "pulled.keras", compile=False))
    np.testing.assert_array_equal(region_of(tuned, exported.layout), weights)


@pytest.mark.parametrize(("half", "accuracy"), [(0.5, 0.75), (0.0, 0.5)])
def test_a_trainer_of_yes_and_no_is_measured_by_what_it_says_right(half, accuracy):
    class Trainer:
        def predict(self, sample):
            return sample

    says = np.array([[0.9, 0.2], [0.4, 0.1]], np.float32)
    right = np.array([[1, 0], [1, 0]], np.float32)
    data = Dataset(says, right, says, right, BINARY)
    assert learning.measure(Trainer(), data, half) == accuracy


def test_export_and_simulate_go_from_keras_to_tflm(files, capsys, monkeypatch):
    x, y = random_data(quick_net(), 40)
    np.savez(files / "data.npz", x=x, y=np.array(["left", "right", "up"])[y])
    words = ["--data", files / "data.npz"]
    exported = ["--model", files / "model.keras", *words, "--budget", "6KiB", "--int8"]
    more = ["--batch_size", 2, "--cpp", "--spare_classes", 1]
    assert medyate("export", *exported, "--out", files / "bundle", *more) == 0
    printed = capsys.readouterr().out
    names = (files / "bundle" / "model.names").read_text()
    assert names == "0\tleft\n1\tright\n2\tup\n"
    assert all(n in (files / "bundle/cpp/medyate_model.cc").read_text() for n in ("left", "up"))
    pulled_with_spare_classes(files / "bundle", files, monkeypatch)
    capsys.readouterr()
    assert all(n in printed for n in ("train.tflite", "model_int8.tflite", "plan.json", "arena"))
    assert "best layers that fit the Arduino Nano 33 BLE" in printed
    assert (files / "bundle" / "memory.png").stat().st_size > 5000
    simulated = ["--bundle", files / "bundle", *words, "--epochs", 1]
    assert medyate("simulate", *simulated, "--learning_rate", 0.02, "--cosine") == 0
    printed = capsys.readouterr().out
    assert "accuracy on the validation data" in printed
    assert "(64-bit host), of it the pool 6,144." in printed
    assert medyate("simulate", *simulated[:1], files / "nowhere", *words) == 2
    assert "medyate export" in capsys.readouterr().err
    assert medyate("export", *exported, "--arena_limit", "4KiB", "--out", files / "b2") == 2
    assert "for the head alone TFLM's arena " in capsys.readouterr().err
    assert not (files / "b2").exists()
