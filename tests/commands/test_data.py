"""What --data may hold: labels of every kind, shapes, damage, claims."""

import contextlib
import io
import zipfile

import numpy as np
import pytest

from tf_medyate.commands.arrays import read_arrays
from tf_medyate.commands.dataset import BINARY, CLASSES, ONE_HOT, TARGETS, read_data
from tf_medyate.errors import DataError, LabelError, MedyateError, NonFiniteDataError

SIDES, OUT = (2, 1), (3,)
X = np.arange(20, dtype=np.float32).reshape(10, 2, 1)
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
NAMES = np.array(["cat", "dog", "eel"])


@pytest.fixture
def read(tmp_path):
    def reader(inputs=SIDES, outputs=OUT, kind="", names=(), spare=0, **arrays):
        np.savez(tmp_path / "d.npz", **{"x": X, "y": Y, "x_val": X, "y_val": Y} | arrays)
        return read_data(str(tmp_path / "d.npz"), inputs, outputs, kind, names, spare)

    return reader


@pytest.mark.parametrize(
    "y",
    [
        *(Y.astype(kind) for kind in ("f4", "f8", "f2", "u1", "i8", "u8")),
        *(Y[:, None], Y[:, None].astype("f4")),
        *(NAMES[Y], NAMES[Y].astype("S"), NAMES[Y][:, None]),
        *(Y.astype(str), Y.astype("S")),
    ],
    ids=lambda y: f"{y.dtype}{y.shape}",
)
def test_class_numbers_however_they_are_stored(read, y):
    data = read(y=y, y_val=y)
    assert data.kind == CLASSES
    assert data.y.dtype == np.int64
    np.testing.assert_array_equal(data.y, Y)
    np.testing.assert_array_equal(data.y_val, Y)


def test_names_come_in_and_go_out(read):
    assert read(y=NAMES[Y], y_val=NAMES[Y]).names == ("cat", "dog", "eel")
    other = np.array(["eel", "cat", "dog"])  # the order of the model's training
    data = read(y=NAMES[Y], y_val=NAMES[Y], classes=other)
    assert data.names == ("eel", "cat", "dog")
    np.testing.assert_array_equal(other[data.y], NAMES[Y])
    assert read(classes=other).names == ("eel", "cat", "dog")
    # A name that only the validation data have; one that only the outputs have.
    assert read(y=NAMES[Y % 2], y_val=NAMES[Y]).names == ("cat", "dog", "eel")
    assert read(y=NAMES[Y % 2], y_val=NAMES[Y % 2], classes=other).y.max() == 2
    # Those of a board, and new ones.
    data = read(y=NAMES[Y], y_val=NAMES[Y], names=("dog",), spare=2)
    assert data.names == ("dog", "cat", "eel")
    two = {"y": NAMES[Y % 2], "y_val": NAMES[Y % 2]}
    for arrays, expected in [
        (two, r"3 different names, one an output; received 2 \('cat', 'dog'\).*array `classes`"),
        ({**two, "outputs": (1,)}, "received 2"),
        ({**two, "classes": other[:2]}, "3 different names"),
        ({**two, "classes": np.array(["a", "a", "b"])}, "3 different names"),
        ({**two, "classes": np.array(["a", "b", "c"])}, "received 'cat', 'dog'"),
        ({"y": NAMES[Y], "names": ("dog",), "spare": 1}, "names among 'dog' and 1 more"),
        ({"y": np.array(["a\x1b[2J", "b", "c"])[Y]}, "without control characters"),
    ]:
        with pytest.raises(MedyateError, match=expected):
            read(**arrays)


def test_rows_and_targets(read):
    rows = np.eye(3)[Y]
    assert read(y=rows, y_val=rows).kind == ONE_HOT
    assert read(y=rows.astype(bool), y_val=rows.astype(bool)).y.dtype == np.float32
    assert read(y=rows, y_val=rows, kind=CLASSES).y.tolist() == Y.tolist()
    assert read(y=rows * 0.5, y_val=rows).kind == TARGETS
    assert read(y=1 - rows, y_val=rows).kind == BINARY
    bits = Y > 0
    for y in (bits, bits.astype("f4"), bits[:, None]):
        data = read(outputs=(1,), y=y, y_val=y)
        assert (data.kind, data.y.shape) == (BINARY, (10, 1))
    assert read(y=bits, y_val=bits).kind == CLASSES  # two of three classes
    assert read(outputs=(1,), y=Y * 0.5, y_val=Y * 0.5).y.shape == (10, 1)
    maps = np.zeros((10, 4, 4), int)
    assert read(outputs=(4, 4, 3), y=maps, y_val=maps).kind == CLASSES


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"y": Y + 0.5}, "whole class numbers; received 0.5"),
        ({"y": Y + 1, "y_val": Y + 1}, "0 to 2; received 1 to 3.*subtract 1"),
        ({"y_val": Y + 5}, "y_val: expected class labels from 0 to 2; received 5 to 7"),
        ({"y": Y - 1}, "received -1 to 1"),
        ({"y": Y.astype("M8[D]")}, "numbers or names; received datetime64"),
        ({"y": Y * 1j}, "numbers or names; received complex128"),
        ({"y": np.where(Y == 1, np.nan, Y)}, "y: expected finite numbers"),
        ({"y_val": np.where(Y == 1, np.inf, Y)}, "y_val: expected finite numbers"),
        ({"y": np.eye(4)[Y]}, r"rows of \[3\]; received \[4\] for each sample"),
        ({"y": np.eye(3)[Y]}, r"y_val: expected the shape of y, \[3\]"),
        ({"outputs": (8,), "y": np.eye(3)[Y]}, r"rows of \[8\]"),
        ({"kind": TARGETS}, "targets, as the loss wants them; received classes"),
        ({"kind": CLASSES, "y": X[:, :, 0], "y_val": X[:, :, 0], "outputs": (2,)}, "classes, as"),
        ({"y": np.array(5)}, "received 10 x and 0 y"),
        ({"y": Y[:9]}, "10 x and 9 y"),
        ({"x_val": X[:0], "y_val": Y[:0]}, "0 x_val and 0 y_val"),
        ({"x": X * np.nan}, "x: expected finite numbers; received NaN .* in 10 of 10"),
        ({"x_val": X + np.inf}, "x_val: expected finite numbers"),
        ({"x": X.astype("f8") + 1e300}, "x: expected finite numbers"),
        ({"x": X * 1j}, r"real and imaginary part as two channels"),
        ({"x": X.astype(str)}, r"x.astype\('float32'\)"),
        ({"x": X.astype("M8[s]")}, "x: expected numbers; received datetime64"),
        ({"x": np.zeros(10, "i4,f4")}, "x: expected numbers"),
        ({"x": X[:, :1]}, r"samples of shape \[2, 1\]; received \[1, 1\]"),
        ({"x": X.reshape(10, -1), "inputs": (1, 2, 1)}, r"x.reshape\(-1, 1, 2, 1\)"),
        ({"x": X.reshape(10, 1, 2, 1), "inputs": (2, 1, 1)}, r"moveaxis\(x, 1, -1\)"),
        ({"x": X[:, 0, 0], "inputs": (None, 3)}, r"\[any, 3\]; received \[\]"),
    ],
)
def test_what_cannot_be_used_is_explained(read, arrays, expected):
    with pytest.raises(MedyateError, match=expected):
        read(**arrays)


def test_a_channel_axis_may_be_missing(read):
    np.testing.assert_array_equal(read(x=X[..., 0], x_val=X[..., 0]).x, X)
    images = (X[:, :, 0] > 3) * np.uint8(255)
    assert read(inputs=(2,), x=images, x_val=images).x.max() == 255


def test_what_is_held_back_is_the_last_of_each_class(tmp_path):
    def held(y, outputs=OUT):
        np.savez(tmp_path / "d.npz", x=np.arange(len(y)), y=y)
        data = read_data(str(tmp_path / "d.npz"), (), outputs)
        assert len(data.x) + len(data.x_val) == len(y)
        return data.x_val.astype(int).tolist()

    assert held(np.repeat([0, 1, 2], 5)) == [4, 9, 14]  # data are often sorted
    assert held(np.array([0] * 10 + [1])) == [8, 9]
    assert held(np.arange(3)) == [2]
    assert held(np.arange(10) * 0.5, (1,)) == [8, 9]


def test_validation_data_come_in_pairs_and_others_are_named(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=X, y=Y, x_val=X)
    with pytest.raises(DataError, match="x_val and y_val, or neither"):
        read_data(str(path), SIDES, OUT)
    np.savez(path, x=X, y=Y, x_test=X, sample_weight=Y)
    assert read_data(str(path), SIDES, OUT).unused == ("x_test", "sample_weight")


# --- files


def npy(header, data=b""):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + data


@pytest.mark.parametrize("stored", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (npy({"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}), "bytes of memory"),
        (npy({"descr": "<f4", "fortran_order": False, "shape": (1 << 20,)}, bytes(8)), "and has 8"),
        (npy({"descr": "<f4", "fortran_order": False, "shape": (1,)}, bytes(8)), "and has 8"),
        (
            npy({"descr": "|O", "fortran_order": False, "shape": (1,)}, b"12345678"),
            "Python objects",
        ),
        (b"\x93NUMPY\x09\x00", "format"),
        (b"no array", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_claims_are_checked_before_memory_is_taken(tmp_path, content, expected, stored):
    path = tmp_path / "d.npz"
    with zipfile.ZipFile(path, "w", stored) as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DataError, match=expected):
        read_arrays(str(path), ("x",))


def test_other_and_damaged_files(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=X, y=Y)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):
            arrays, _ = read_arrays(str(path), ("x", "y"))
            # The bit says nothing: or the CRC had told.
            assert all((arrays[n] == a).all() for n, a in (("x", X), ("y", Y)) if n in arrays)
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match="npz file of arrays"):
            read_arrays(str(path), ("x", "y"))
    np.save(tmp_path / "one.npy", X)
    (tmp_path / "one.npy").rename(path)
    with pytest.raises(DataError, match=r"a single array \(numpy.save\)"):
        read_arrays(str(path), ("x", "y"))
    path.write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match="something else"):
        read_arrays(str(path), ("x", "y"))
    with pytest.raises(MedyateError, match="received the folder"):
        read_arrays(str(tmp_path), ("x",))
    assert issubclass(LabelError, DataError)
    assert issubclass(NonFiniteDataError, DataError)
