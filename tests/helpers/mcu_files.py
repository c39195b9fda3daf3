"""Files in the layout of MIT's tiny-training, made at random, and what such a file computes."""

import io
import pickle
import zipfile

import numpy as np


def torch_conv(x, weight, stride, groups=1):
    """PyTorch's convolution of [n, c, h, w] with padding floor(k / 2), straight from its sum."""
    size = weight.shape[2]
    x = np.pad(x, ((0, 0), (0, 0), (size // 2,) * 2, (size // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))
    windows = windows[:, :, ::stride, ::stride]
    if groups > 1:
        return np.einsum("nchwij,cij->nchw", windows, weight[:, 0])
    return np.einsum("nchwij,ocij->nohw", windows, weight)


def make_net(draw, blocks, classes=10, mix=0, pixels=32):
    """A dictionary as a file holds it, for a table of blocks."""
    saved = {"first_conv": _conv(draw, 3, 16, 3, 2), "blocks": []}
    saved["first_conv"]["in_shape"] = pixels
    width = 16
    for block in blocks:
        inside = width * block.expansion
        summed = block.stride == 1 and block.channels == width
        parts = {
            "pointwise1": _conv(draw, width, inside) if block.expansion > 1 else None,
            "depthwise": _conv(draw, inside, inside, block.kernel, block.stride, groups=inside),
            "pointwise2": _conv(draw, inside, block.channels),
            "residual": {"params": {"y_scale": 0.1}} if summed else None,
            "se": None,
        }
        saved["blocks"].append(parts)
        width = block.channels
    saved["feature_mix"] = _conv(draw, width, mix) if mix else None
    saved["classifier"] = _conv(draw, mix or width, classes)
    return saved


def _conv(draw, inputs, outputs, kernel=1, stride=1, groups=1):
    shape = (outputs, inputs // groups, kernel, kernel)
    return {
        "in_channel": inputs,
        "out_channel": outputs,
        "kernel_size": (kernel, kernel),
        "stride": stride,
        "groups": groups,
        "depthwise": groups > 1,
        "act": None,
        "params": {
            "weight": draw.integers(-127, 128, shape).astype(np.int8),
            "bias": draw.integers(-9000, 9000, outputs).astype(np.int32),
            "w_scales": draw.uniform(0.002, 0.01, outputs).astype(np.float32),
            "x_scale": float(draw.uniform(0.01, 0.1)),
            "x_zero": -128,
            "y_scale": 6 / 255,
            "y_zero": -128,
        },
    }


def write_net(path, saved):
    """Writes the dictionary as tiny-training's files are written, by an old NumPy."""
    content = pickle.dumps(saved, protocol=2)
    content = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    return write_pickle(path, content)


def write_pickle(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
    return path


def outputs(saved, x):
    """Runs a file in float64, straight from its integers; x: [n, height, width, 3].

    Returns:
        The map after every block, channels last, and the logits.
    """
    found = []
    y = np.clip(_apply(saved["first_conv"], x.transpose(0, 3, 1, 2).astype(np.float64)), 0, 6)
    for block in saved["blocks"]:
        before = y
        for part in ("pointwise1", "depthwise"):
            y = y if block[part] is None else np.clip(_apply(block[part], y), 0, 6)
        y = _apply(block["pointwise2"], y)
        y = y if block["residual"] is None else y + before
        found.append(y.transpose(0, 2, 3, 1))
    return found, _apply(saved["classifier"], y.mean((2, 3), keepdims=True))[:, :, 0, 0]


def _apply(conv, y):
    scale = conv["params"]["w_scales"].astype(np.float64)
    weight = conv["params"]["weight"] * scale[:, None, None, None]
    y = torch_conv(y, weight, conv["stride"], conv["groups"])
    return y + (conv["params"]["bias"] * conv["params"]["x_scale"] * scale)[:, None, None]


def read_trusted(path):
    """Plain unpickling of a file that is known to be sound; NumPy's own functions run."""
    with zipfile.ZipFile(path) as archive:
        content = archive.read("archive/data.pkl")
    return pickle.load(io.BytesIO(content.replace(b"numpy.core.", b"numpy._core.")))
