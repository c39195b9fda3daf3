"""One protocol for what learns sample by sample, here or on a board."""

import inspect

import pytest

import tf_medyate as md
from tf_medyate.device import DeviceClient


@pytest.mark.parametrize("kind", [md.simulate.TFLMTrainer, DeviceClient])
@pytest.mark.parametrize("name", ["step", "predict", "end_epoch", "commit", "discard"])
def test_interpreter_and_board_are_trainers(kind, name):
    assert issubclass(kind, md.Trainer)
    given = inspect.signature(getattr(kind, name)).parameters
    assert list(given) == list(inspect.signature(getattr(md.Trainer, name)).parameters)
