"""TensorFlow's own converter, quietly: a traced function becomes a .tflite of built-in ops.

Example:
    >>> double = tf.function(lambda x: 2.0 * x, input_signature=[tf.TensorSpec((1, 3))])
    >>> data = convert(double.get_concrete_function(), [], "a function")
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tf_medyate.errors import UnsupportedLayerError
from tf_medyate.quiet import captured_stderr

if TYPE_CHECKING:
    import keras


def convert(
    traced: Any,
    variables: Iterable[keras.Variable],
    what: str,
    representative_dataset: Callable[[], Iterator[Any]] | None = None,
) -> bytes:
    """Converts a concrete function.

    Args:
        traced: The function.
        variables: What it reads.
        what: For the error: whose function it is.
        representative_dataset: Gives samples by name: everything becomes int8. None for float32.

    Raises:
        UnsupportedLayerError: The converter would need ops that are not built in.
    """
    import tensorflow as tf

    # The converter freezes the variables that it finds in a module; in a Keras model it misses
    # some, and leaves READ_VARIABLE ops (TensorFlow 2.21 with Keras 3.15).
    module = tf.Module()
    module.held = [variable.value for variable in variables]
    module.infer = traced
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if representative_dataset is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative_dataset
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    try:
        with _quietly():
            return converter.convert()
    except Exception as error:  # the converter raises RuntimeError, ValueError and its own
        raise UnsupportedLayerError(
            what,
            "layers that TensorFlow Lite has built-in ops for",
            str(error).strip().splitlines()[-1],
            "Replace the layer that the message names.",
        ) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps the converter's notes of its own progress off the screen; errors still raise."""
    from absl import logging

    with captured_stderr(), warnings.catch_warnings():
        verbosity = logging.get_verbosity()
        warnings.simplefilter("ignore")
        logging.set_verbosity(logging.ERROR)
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
