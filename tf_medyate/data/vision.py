"""The papers' vision tasks, through tensorflow-datasets, in the papers' preprocessing.

    images     the shorter side resized to ceil(pixels / 0.875), the middle cut out, scaled to
               -1..1, as "On-Device Training Under 256KB Memory" (arXiv 2206.15472) evaluates
    vww        resized to a square instead: a cut might lose the person (MIT's evaluation)
    pixels     128, as in the same paper; another number by the environment variable MEDYATE_PIXELS

Arrays are made once, kept under ~/.cache/tf_medyate/vision, and mapped from there: Food-101 takes
15 GB. The random crops and flips of the papers' training are the bench's
(tf_medyate/bench/run/augment.py). They cut from these arrays, where the papers cut from the
full-sized pictures: a small box is blurred here.

Visual Wake Words is not in tensorflow-datasets. It is derived from COCO 2014 by the published
rule (Chowdhery et al., arXiv 1906.05721): a picture is of class 1 if some person's box covers more
than 0.5 % of it. (Their script, in the slim folder of tensorflow/models, compares the area of the
person's outline, which is smaller: a few distant people count there as none.) They test on
"minival", 8,000 pictures of COCO's validation part whose list tensorflow-datasets does not have;
here the whole validation part is the test part. So accuracies are not those of the papers to the
last digit.

Example:
    >>> task = get_dataset("flowers102").load(0, 0)
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from PIL import Image

from tf_medyate.data.packaged import check_fold
from tf_medyate.data.task import Dataset, Task
from tf_medyate.errors import DataError, OptionError

PIXELS = 128
_CENTRE = 0.875
_PERSON = 0  # COCO's first class
_PERSON_SHARE = 0.005
_NEEDS = "tensorflow-datasets"

Example = Mapping[str, Any]


def centre_crop(image: np.ndarray, pixels: int) -> np.ndarray:
    """Resizes the shorter side to ceil(pixels / 0.875) and cuts the middle out.

    Args:
        image: uint8 [height, width, 3].
        pixels: Height and width of the result.

    Returns:
        uint8 [pixels, pixels, 3].
    """
    picture = Image.fromarray(image)
    scale = math.ceil(pixels / _CENTRE) / min(picture.size)
    width, height = (max(pixels, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - pixels) / 2), round((height - pixels) / 2)
    return np.asarray(picture.crop((left, top, left + pixels, top + pixels)))


def whole_image(image: np.ndarray, pixels: int) -> np.ndarray:
    """Resizes to a square, whatever the proportions; see `centre_crop`."""
    picture = Image.fromarray(image).resize((pixels, pixels), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _label(example: Example) -> int:
    return int(example["label"])


def has_person(example: Example) -> int:
    """The label of Visual Wake Words: does a person's box cover more than 0.5 % of the picture?

    Args:
        example: One of COCO: `objects` with `bbox` [n, 4] (top, left, bottom, right, as shares of
            the picture) and `label` [n].

    Returns:
        1 or 0.
    """
    objects = example["objects"]
    box = np.asarray(objects["bbox"], np.float64).reshape(-1, 4)
    share = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    return int(((share > _PERSON_SHARE) & (np.asarray(objects["label"]) == _PERSON)).any())


@dataclasses.dataclass(frozen=True)
class VisionData:
    """Where a task's pictures come from.

    Attributes:
        name: Our name.
        builder: Name in tensorflow-datasets.
        train: Its split to train on.
        test: Its split to test on.
        classes: Number of classes.
        label: An example's label.
        crop: (image, pixels) -> the square picture.
    """

    name: str
    builder: str
    train: str
    test: str
    classes: int
    label: Callable[[Example], int] = _label
    crop: Callable[[np.ndarray, int], np.ndarray] = centre_crop


def load_vision(data: VisionData, fold: int, seed: int) -> Task:
    """Loads the published split, and downloads it first if need be.

    Args:
        data: Which.
        fold: 0.
        seed: Nothing is drawn, so it changes nothing.

    Returns:
        Images [n, pixels, pixels, 3] in -1..1, mapped from disk, read-only.

    Raises:
        OptionError: There is no such fold, or MEDYATE_PIXELS is no size.
        DataError: tensorflow-datasets is not installed.
    """
    check_fold(fold, 1)
    pixels = _pixels()
    own = _arrays(data, data.train, pixels)
    return Task(data.name, fold, *own, *_arrays(data, data.test, pixels), data.classes, *own)


def _pixels() -> int:
    text = os.environ.get("MEDYATE_PIXELS", str(PIXELS))
    if not text.isdecimal() or not 8 <= int(text) <= 1024:
        remedy = "Unset it for the papers' 128."
        raise OptionError("MEDYATE_PIXELS", "a number from 8 to 1024", repr(text), remedy)
    return int(text)


def _arrays(data: VisionData, split: str, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """One split, out of the cache if it is there."""
    root = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = root / "tf_medyate" / "vision"
    stem = f"{data.name}-{split.replace('+', '-')}-{pixels}"
    images, labels = folder / f"{stem}-x.npy", folder / f"{stem}-y.npy"
    if not labels.is_file():  # written last
        folder.mkdir(parents=True, exist_ok=True)
        _store(data, split, pixels, images, labels)
    return np.load(images, mmap_mode="r"), np.load(labels)


def _store(
    data: VisionData, split: str, pixels: int, images: pathlib.Path, labels: pathlib.Path
) -> None:
    """Makes a split's arrays, beside their place, and moves them there once they are whole."""
    examples = _examples(data.builder, split)
    part = images.with_suffix(f".{os.getpid()}.npy")  # two processes may be at it
    try:
        x = open_memmap(part, "w+", np.float32, (len(examples), pixels, pixels, 3))
        y = np.zeros(len(examples), np.int32)
        for row, example in enumerate(tfds().as_numpy(examples)):
            x[row] = data.crop(np.asarray(example["image"]), pixels) / np.float32(127.5) - 1
            y[row] = data.label(example)
        x.flush()
        part.replace(images)
        np.save(part, y)
        part.replace(labels)
    finally:
        part.unlink(missing_ok=True)


def _examples(builder: str, split: str) -> Any:
    return tfds().load(builder, split=split, shuffle_files=False)


def tfds() -> Any:
    """Imports tensorflow-datasets.

    Raises:
        DataError: It is not installed.
    """
    try:
        return importlib.import_module("tensorflow_datasets")
    except ModuleNotFoundError as error:
        remedy = f"Run `pip install {_NEEDS}`."
        raise DataError(_NEEDS, "the installed package", repr(error), remedy) from error


def _entry(data: VisionData, source: str) -> Dataset:
    load = functools.partial(load_vision, data)
    source = f"{source}; tensorflow-datasets: {data.builder}"
    return Dataset(data.name, 1, data.classes, load, source, _NEEDS)


DATASET = (
    _entry(
        VisionData("cifar10", "cifar10", "train", "test", 10),
        "Krizhevsky, Learning multiple layers of features from tiny images (2009)",
    ),
    _entry(
        VisionData("cifar100", "cifar100", "train", "test", 100),
        "Krizhevsky, Learning multiple layers of features from tiny images (2009)",
    ),
    _entry(
        VisionData("cub200", "caltech_birds2011", "train", "test", 200),
        "Wah et al., The Caltech-UCSD Birds-200-2011 dataset (2011)",
    ),
    _entry(
        VisionData("flowers102", "oxford_flowers102", "train+validation", "test", 102),
        "Nilsback and Zisserman, Automated flower classification (2008)",
    ),
    _entry(
        VisionData("food101", "food101", "train", "validation", 101),
        "Bossard et al., Food-101 (2014)",
    ),
    _entry(
        VisionData("pets", "oxford_iiit_pet", "train", "test", 37),
        "Parkhi et al., Cats and dogs (2012)",
    ),
    _entry(
        VisionData("vww", "coco/2014", "train", "validation", 2, has_person, whole_image),
        "Chowdhery et al., Visual Wake Words (arXiv 1906.05721), derived from COCO 2014",
    ),
)
