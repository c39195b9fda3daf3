"""The command line, as a newcomer types it."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from command_line import medyate
from random_models import random_data, small_net

from tf_medyate.commands import common


@pytest.fixture
def files(tmp_path):
    model = small_net()
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
    tuned = keras.models.load_model(out)
    assert type(tuned).__name__ == "Functional"
    kernel = tuned.get_layer("head").get_weights()[0]
    assert (
        kernel != keras.models.load_model(files / "model.keras").get_layer("head").get_weights()[0]
    ).any()
    assert "<html" in report.read_text()
    for name in ("report.txt", "report.json"):
        assert medyate("finetune", *common, "--budget", "12KiB", "--out", out,
                       "--report", files / name) == 0  # fmt: skip
        assert (files / name).stat().st_size > 500


def test_rank_prints_every_layer(files, capsys):
    common = ["--model", files / "model.keras", "--data", files / "data.npz"]
    assert medyate("rank", *common, "--top_k", 2, "--batches", 2) == 0
    printed = capsys.readouterr().out
    assert "lara ranking: 2 of 5 layers kept" in printed
    assert "separable.depthwise" in printed
    assert medyate("rank", *common, "--ranking", "fisher", "--batches", 3) == 0
    folder = files / "pictures"
    assert medyate("rank", *common, "--batches", 2, "--epochs", 2, "--diagnose", folder) == 0
    assert len(list(folder.glob("*.png"))) >= 2


def test_compare_prints_a_row_a_strategy(files, capsys):
    words = ["--model", files / "model.keras", "--data", files / "data.npz", "--epochs", 1]
    assert medyate("compare", *words, "--budget", "12KiB", "--strategies", "head,trady,full") == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("before", "head", "trady", "full", "accuracy"))


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
    x, y = random_data(small_net(), 10)
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


def test_regression_and_one_hot_targets_are_understood(files, capsys):
    x, y = random_data(small_net(), 20)
    assert common.loss_name("auto", y) == "sparse_categorical_crossentropy"
    assert common.loss_name("auto", np.eye(3)[y]) == "categorical_crossentropy"
    assert common.loss_name("auto", x[:, 0, 0]) == "mean_squared_error"
    np.savez(files / "mse.npz", x=x, y=np.eye(3)[y] * 0.5, x_val=x[:4], y_val=np.eye(3)[y[:4]])
    assert medyate("finetune", "--model", files / "model.keras", "--data", files / "mse.npz",
                   "--epochs", 1, "--budget", "12KiB", "--out", files / "t.keras",
                   "--report", files / "r.txt") == 0  # fmt: skip
    assert "mean squared error" in capsys.readouterr().out


def test_help_needs_no_reading_elsewhere():
    done = subprocess.run(
        [sys.executable, "-m", "tf_medyate.cli", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("demo", "finetune", "rank", "compare"))
    with pytest.raises(SystemExit):
        medyate("finetune", "--help")


def test_export_and_simulate_go_from_keras_to_tflm(files, capsys):
    words = ["--data", files / "data.npz"]
    exported = ["--model", files / "model.keras", *words, "--budget", "6KiB", "--int8"]
    assert medyate("export", *exported, "--out", files / "bundle", "--batch_size", 2) == 0
    printed = capsys.readouterr().out
    assert all(n in printed for n in ("train.tflite", "model_int8.tflite", "plan.json", "arena"))
    assert (files / "bundle" / "memory.png").stat().st_size > 5000
    simulated = ["--bundle", files / "bundle", *words, "--epochs", 1]
    assert medyate("simulate", *simulated, "--learning_rate", 0.02, "--cosine") == 0
    printed = capsys.readouterr().out
    assert "accuracy on the validation data" in printed
    assert "(64-bit host), of it the pool 6,144." in printed
    assert medyate("simulate", *simulated[:1], files / "nowhere", *words) == 2
    assert "medyate export" in capsys.readouterr().err
    assert medyate("export", *exported, "--arena_limit", "4KiB", "--out", files / "b2") == 2
    assert "too few" in capsys.readouterr().err
    assert not (files / "b2").exists()
