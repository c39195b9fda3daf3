"""What is used of TensorFlow that is not public: each in one place, with a fallback.

eager_record    tells a tape of an operation and its gradient; without it `tf.custom_gradient`
tflite_schema   the generated flatbuffer classes; ai-edge-litert ships the same
"""

from __future__ import annotations

import importlib
from types import ModuleType

from tf_medyate.errors import MedyateError


class MissingApiError(MedyateError, ImportError):
    """The installed TensorFlow has moved something, and there is no other package that has it."""


def eager_record() -> ModuleType | None:
    """The module `tensorflow.python.eager.record`, None where TensorFlow has moved it."""
    return _first("tensorflow.python.eager.record")


def tflite_schema() -> ModuleType:
    """The module `schema_py_generated` of TensorFlow Lite.

    Raises:
        MissingApiError: Neither TensorFlow nor ai-edge-litert has it.
    """
    names = ("tensorflow.lite.python.schema_py_generated", "ai_edge_litert.schema_py_generated")
    found = _first(*names)
    if found is None:
        remedy = "pip install ai-edge-litert"
        raise MissingApiError("TensorFlow Lite's schema", " or ".join(names), "neither", remedy)
    return found


def _first(*names: str) -> ModuleType | None:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
