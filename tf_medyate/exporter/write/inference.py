"""From a Keras model to an inference-only .tflite of built-in ops, float32 or int8.

TensorFlow's own converter does the work. The batch is fixed at one sample, so that no op computes
shapes at run time: TFLM has no dynamic shapes.

Example:
    >>> write_inference(model, "out/model.tflite")
    >>> write_inference(model, "out/model_int8.tflite", representative_data=x[:100], int8=True)
"""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_medyate.ends import in_order, inputs_of
from tf_medyate.errors import (
    DataError,
    EmptyDataError,
    NonFiniteDataError,
    OptionError,
)
from tf_medyate.exporter.converter import convert
from tf_medyate.private_apis import tflite_schema

if TYPE_CHECKING:
    import keras

# TFLM's int8 softmax takes input_scale * 2**26 for at least 1, and aborts the process otherwise.
_SMALLEST_SOFTMAX_SCALE = 2.0**-26
_ARGUMENT = "representative_data"
_MOST_SAMPLES = 1000  # of a data set that may have no end


def write_inference(
    model: keras.Model,
    path: str | pathlib.Path,
    representative_data: Any = None,
    int8: bool = False,
) -> int:
    """Writes a model for TensorFlow Lite (Micro), for one sample at a time.

    Args:
        model: A prepared model, whose pool is committed first, or a plain Keras model that
            `prepare` accepts. Dropout and the like are off.
        path: The file to write. Its inputs are named "serving_default_input_0:0" and so on in the
            order of `model.inputs`; they may stand in another order in the file.
        representative_data: Samples [n, ...] that the ranges of int8 activations are measured on,
            one array for each input of the model, in a list or a dict; some hundreds are enough.
            Or a tf.data.Dataset of samples or batches, or a function that gives samples one after
            the other: their first 1,000 items. Unused in float32.
        int8: Quantize weights and activations, inputs and outputs to int8.

    Returns:
        Size of the file in bytes.

    Raises:
        OptionError: `int8` without `representative_data`, or `path` lies in no directory.
        UnbuiltModelError, UnsupportedLayerError: As `prepare`; or the converter would need ops
            that are not built in.
        EmptyDataError, NonFiniteDataError, DataError: `representative_data` has no samples, holds
            NaN or infinity, or does not fit the model's inputs; or it leaves the logits so near
            to zero that TFLM would abort.
    """
    path = pathlib.Path(path)
    if not path.parent.is_dir() or path.is_dir():
        raise OptionError(
            "path", "a file in an existing directory", repr(str(path)), "Create the directory."
        )
    return write_plain(_plain(model), path, representative_data, int8)


def write_plain(
    plain: keras.Model, path: pathlib.Path, representative_data: Any = None, int8: bool = False
) -> int:
    """As `write_inference`, for what `strip` has made, so that several files need one of it."""
    samples = calibration_samples(plain, representative_data, "int8=True") if int8 else None
    data = _convert(_renamed(plain), samples)
    if int8:
        _check_softmax(data)
    path.write_bytes(data)
    return len(data)


def _plain(model: keras.Model) -> keras.Model:
    """The model as standard layers with normalizations folded."""
    from tf_medyate.prepared.folding import prepare, strip
    from tf_medyate.prepared.model import PreparedModel

    return strip(model if isinstance(model, PreparedModel) else prepare(model))


def _renamed(model: keras.Model) -> keras.Model:
    """The same with "layer_name" for "_name": no variable of a SavedModel may begin like that."""
    import keras

    def copy(layer: Any) -> Any:
        name = layer.name if layer.name[0].isalnum() else f"layer{layer.name}"
        return type(layer).from_config(layer.get_config() | {"name": name})

    if all(layer.name[0].isalnum() for layer in model.layers):
        return model
    renamed: Any = keras.models.clone_model(model, clone_function=copy)
    renamed.set_weights(model.get_weights())
    return renamed


def _arrays(model: keras.Model, data: Any) -> list[np.ndarray]:
    """What representative data hold, one array for each input: of arrays, a data set, a function.

    A function gives samples as TensorFlow Lite's `representative_dataset` does, one after the
    other; a data set gives samples or batches, perhaps with labels.
    """
    import tensorflow as tf

    ends = inputs_of(model)
    if not callable(data) and not isinstance(data, tf.data.Dataset):
        several = data if isinstance(data, list | tuple) else [data]
        given = in_order(_ARGUMENT, data, ends) if isinstance(data, Mapping) else several
        return [np.asarray(array) for array in given]
    wanted = [end.shape for end in ends]
    found: list[list[np.ndarray]] = [[] for _ in wanted]
    items: Any = data() if callable(data) else data
    for item in itertools.islice(items, _MOST_SAMPLES):
        with_labels = isinstance(item, tuple) and isinstance(data, tf.data.Dataset)
        given = item[0] if with_labels else item
        by_name = isinstance(given, Mapping)
        parts = in_order(_ARGUMENT, given, ends) if by_name else tf.nest.flatten(given)
        if len(parts) != len(wanted):
            received = f"{len(parts)} arrays a sample"
            remedy = "Give one array for each input of the model."
            raise DataError("representative_data", f"{len(wanted)} a sample", received, remedy)
        for shape, arrays, part in zip(wanted, found, parts, strict=True):
            array = np.asarray(part)
            arrays.append(array[None] if array.shape == shape else array)
    return [
        np.concatenate(arrays) if arrays else np.zeros((0, *wanted[i]))
        for i, arrays in enumerate(found)
    ]


def calibration_samples(model: keras.Model, data: Any, wanted_by: str) -> list[np.ndarray]:
    """The representative data as float32 arrays [n, ...], one for each input.

    Args:
        model: A Keras model.
        data: As `write_inference` takes them.
        wanted_by: The option that needs them.

    Raises:
        OptionError, DataError: As `write_inference`.
    """
    if data is None:
        raise OptionError(
            "representative_data",
            "samples to measure the ranges of activations on",
            f"None with {wanted_by}",
            f"Pass representative_data=x[:100], or leave {wanted_by} out.",
        )
    arrays = _arrays(model, data)
    wanted = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    if [a.shape[1:] for a in arrays] != wanted or len({len(a) for a in arrays}) > 1:
        raise DataError(
            "representative_data",
            f"as many samples of the shapes {wanted}",
            f"arrays of the shapes {[a.shape for a in arrays]}",
            "Give one array [n, ...] for each input of the model, as to model.fit.",
        )
    if not len(arrays[0]):
        raise EmptyDataError(
            "representative_data", "at least one sample", "none", "Pass some hundred samples."
        )
    if any(a.dtype.kind not in "biuf" for a in arrays):
        received = str([str(a.dtype) for a in arrays])
        raise DataError("representative_data", "numbers", received, "Convert it to float32.")
    arrays = [a.astype(np.float32) for a in arrays]
    if not all(np.isfinite(a).all() for a in arrays):
        raise NonFiniteDataError(
            "representative_data", "finite numbers", "NaN or infinity", "Clean the samples."
        )
    if any(a.min() == a.max() for a in arrays):  # No ranges: whatever comes later is cut off.
        remedy = "Pass some hundred samples of the task, as they come to the device."
        raise DataError("representative_data", "samples that differ", "one number", remedy)
    return arrays


def _convert(model: keras.Model, samples: list[np.ndarray] | None) -> bytes:
    """The flatbuffer; int8 throughout if there are samples."""
    dataset = None if samples is None else lambda: _one_by_one(samples)
    return convert(_one_sample(model), model.variables, f"model '{model.name}'", dataset)


def _check_softmax(data: bytes) -> None:
    """Refuses logits without range, as of an untrained deep net whose activations vanish."""
    schema = tflite_schema()
    model: Any = schema.ModelT.InitFromPackedBuf(data)
    [graph] = model.subgraphs
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        scale = graph.tensors[operator.inputs[0]].quantization.scale
        if code == schema.BuiltinOperator.SOFTMAX and scale[0] < _SMALLEST_SOFTMAX_SCALE:
            raise DataError(
                "representative_data",
                f"logits that reach {256 * _SMALLEST_SOFTMAX_SCALE:.1e} at least",
                f"logits up to {256 * scale[0]:.1e}",
                "Train the model first, and calibrate with real samples.",
            )


def _one_sample(model: keras.Model) -> Any:
    """The model's inference as a traced function of inputs [1, ...] in the order of the model."""
    import keras
    import tensorflow as tf

    specs = [
        tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=_input_name(index))
        for index, tensor in enumerate(model.inputs)
    ]

    @tf.function(input_signature=specs)
    def infer(*inputs):
        return model(keras.tree.pack_sequence_as(model.input, inputs), training=False)

    return infer.get_concrete_function()


def _input_name(index: int) -> str:
    return f"input_{index}"


def _one_by_one(samples: list[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """The samples by name: the converter may have put the inputs into another order."""
    for index in range(len(samples[0])):
        yield {_input_name(i): array[index : index + 1] for i, array in enumerate(samples)}
