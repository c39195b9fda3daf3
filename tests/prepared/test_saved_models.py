"""Models saved by earlier versions, whose classes lay in other modules, still load."""

import pathlib

import keras
import numpy as np

from tf_medyate.prepared.model import PreparedModel

SAVED = pathlib.Path(__file__).parents[1] / "golden" / "prepared_before_rooms.keras"
SAMPLE = np.linspace(-1, 1, 128, dtype=np.float32).reshape(1, 8, 8, 2)
LOGITS = [[0.06814984232187271, -0.009382368996739388, 0.06625579297542572]]
"""What the model answered when it was saved."""


def test_a_model_saved_before_the_modules_moved_loads_and_predicts():
    model = keras.models.load_model(SAVED)
    assert type(model) is PreparedModel
    # Another processor may sum in another order.
    np.testing.assert_allclose(model.predict(SAMPLE, verbose=0), LOGITS, rtol=1e-5, atol=1e-6)
