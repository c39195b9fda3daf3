"""Models saved by earlier versions, whose classes lay in other modules, still load."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

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


@pytest.mark.parametrize(
    "imports", ["import tf_medyate, tensorflow, keras", "import keras, tf_medyate"]
)
def test_a_fresh_process_loads_a_prepared_model_after_nothing_but_imports(imports):
    lines = f"{imports}; print(type(keras.models.load_model({str(SAVED)!r})).__name__)"
    ran = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert ran.stdout.strip() == "PreparedModel", ran.stderr


@pytest.mark.parametrize(
    "order",
    [("import tf_medyate", "sys.meta_path.insert(0, Asks())"),
     ("sys.meta_path.insert(0, Asks())", "import tf_medyate")],
    ids=["after", "before"],
)  # fmt: skip
def test_a_finder_that_asks_all_others_does_not_ask_for_ever(order):
    """As coverage tools put one before all others, here before ours is there or after."""
    first, second = order
    lines = f"""
import sys
class Asks:
    def find_spec(self, name, path, target=None):
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)):
                return spec
{first}
{second}
import keras
print(type(keras.models.load_model({str(SAVED)!r})).__name__)
"""
    ran = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert ran.stdout.strip() == "PreparedModel", ran.stderr[-2000:]
