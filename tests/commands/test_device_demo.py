"""The demo of the emulated board, with little data and a net that was never trained."""

import dataclasses

import keras
from command_line import medyate
from cpp_build import CORTEX_M4F

from tf_medyate.data import leave_one_out
from tf_medyate.zoo.watch import watch_cnn

SAMPLES = 8


def test_the_demo_tells_what_happened_on_the_board(tmp_path, monkeypatch, capsys):
    CORTEX_M4F.require()
    split = leave_one_out(1)
    few = dataclasses.replace(
        split, adapt_x=split.adapt_x[::20][:SAMPLES], adapt_y=split.adapt_y[::20][:SAMPLES]
    )

    def untrained(*_, **__):
        keras.utils.set_random_seed(0)
        return watch_cnn()

    monkeypatch.setattr("tf_medyate.data.leave_one_out", lambda wearer: few)
    monkeypatch.setattr("tf_medyate.zoo.pretrain.pretrained_watch_cnn", untrained)
    flags = ("--epochs", 2, "--test_windows", 8, "--out", tmp_path)
    assert medyate("device_demo", *flags) == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in ("Power cut", "Started again", "accuracy as shipped", "million instructions"):
        assert part in said
    assert "OTHER WEIGHTS" not in said
    assert "bit for bit" in said or "completed at the start" in said, "a cut fell into a commit"
    page = (tmp_path / "board.html").read_text()
    assert "after 2 epochs on the board" in page
    assert "data:image/png;base64" in page
    assert (tmp_path / "board_losses.png").stat().st_size > 5000
    shares = [float(row.split("%")[0].split(">")[-1]) for row in page.split("<td>")[1:5]]
    before, after, survived, in_keras = shares
    assert survived == in_keras, "the same model gives the same accuracy"
    assert {before, after} <= {round(100 * hits / 8, 1) for hits in range(9)}
    assert keras.models.load_model(tmp_path / "tuned.keras").output_shape == (None, 7)
