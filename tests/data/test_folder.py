"""Data from the user's folder, in the publishers' layouts; made-up stand-ins of these here."""

import wave

import numpy as np
import pytest
from PIL import Image

from tf_medyate.data import sign_digits, spoken_digits
from tf_medyate.data.folder import VARIABLE
from tf_medyate.data.registry import get_dataset
from tf_medyate.errors import DataError, OptionError

NAMES = ("cifar10_binary", "cifar10_subset", "sign_digits", "spoken_digits")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
class TestMissing:
    def test_not_set(self, name, monkeypatch):
        monkeypatch.delenv(VARIABLE, raising=False)
        with pytest.raises(DataError, match=rf"{VARIABLE}.*{name}.*nothing\. Fetch .*https://"):
            get_dataset(name).load(0, 0)

    def test_not_there(self, name, folder, monkeypatch):
        with pytest.raises(DataError, match=rf"received {folder} without it.*https://"):
            get_dataset(name).load(0, 0)
        monkeypatch.setenv(VARIABLE, str(folder / "gone"))
        with pytest.raises(DataError, match=r"no folder .*gone"):
            get_dataset(name).load(0, 0)

    def test_fold(self, name):
        data = get_dataset(name)
        with pytest.raises(OptionError, match=f"0 to {data.folds - 1}"):
            data.load(data.folds, 0)


class TestCifar10:
    # Tells rows, columns and channels apart.
    PICTURE = (np.arange(32 * 32 * 3) % 251).astype(np.uint8).reshape(32, 32, 3)

    def write_binary(self, folder, cut=0):
        folder = folder / "cifar-10-batches-bin"
        folder.mkdir()
        content = bytes([7]) + self.PICTURE.transpose(2, 0, 1).tobytes()
        for number in range(1, 6):
            (folder / f"data_batch_{number}.bin").write_bytes(content * number)
        (folder / "test_batch.bin").write_bytes((content * 2)[: len(content) * 2 - cut])

    def test_binary_version(self, folder):
        self.write_binary(folder)
        task = get_dataset("cifar10_binary").load(0, 0)
        assert len(task.train_x) == 1 + 2 + 3 + 4 + 5
        assert len(task.test_x) == 2
        assert set(task.train_y) == set(task.test_y) == {7}
        np.testing.assert_array_equal(task.test_x[1], self.PICTURE / np.float32(127.5) - 1)

    def test_a_batch_cut_short(self, folder):
        self.write_binary(folder, cut=1)
        with pytest.raises(DataError, match=r"test_batch\.bin.*6,145 bytes"):
            get_dataset("cifar10_binary").load(0, 0)

    def test_a_batch_missing(self, folder):
        (folder / "cifar-10-batches-bin").mkdir()
        with pytest.raises(DataError, match=r"data_batch_1\.bin"):
            get_dataset("cifar10_binary").load(0, 0)

    def subset(self, **changes):
        x = np.stack([self.PICTURE] * 3)
        y = np.arange(3).astype(np.uint8)
        return {"x_train": x, "y_train": y, "x_test": x[:2], "y_test": y[:2], **changes}

    def test_subset(self, folder):
        labels = np.repeat(np.arange(3, dtype=np.uint8), 10)
        pictures = np.stack([np.full((32, 32, 3), place, np.uint8) for place in range(30)])
        saved = self.subset(x_train=pictures, y_train=labels)
        np.savez(folder / "cifar10_subset.npz", **saved)
        data, seen = get_dataset("cifar10_subset"), []
        for fold in range(data.folds):
            task = data.load(fold, 0)
            assert task.train_y.tolist() == [0, 0, 1, 1, 2, 2]
            seen += np.rint((task.train_x[:, 0, 0, 0] + 1) * 127.5).astype(int).tolist()
        assert sorted(seen) == list(range(30))  # each picture in one fold
        np.testing.assert_array_equal(task.test_x[0], self.PICTURE / np.float32(127.5) - 1)

    @pytest.mark.parametrize(
        "changes",
        [
            {"y_train": np.zeros(2, np.uint8)},
            {"x_test": np.zeros((2, 32, 32, 3), np.float32)},
            {"x_test": np.zeros((2, 3, 32, 32), np.uint8)},
            {"y_test": np.array(["cat", None])},  # a pickle
        ],
    )
    def test_a_broken_subset(self, changes, folder):
        np.savez(folder / "cifar10_subset.npz", **self.subset(**changes))
        with pytest.raises(DataError, match="pictures of 32 x 32 and their classes"):
            get_dataset("cifar10_subset").load(0, 0)

    def test_no_numpy_file(self, folder):
        (folder / "cifar10_subset.npz").write_bytes(b"half a file")
        with pytest.raises(DataError, match=r"cifar10_subset\.npz"):
            get_dataset("cifar10_subset").load(0, 0)


def write_hands(root, students=12, gaps=()):
    """One picture a student and digit, grey of the student's shade; numbers run on."""
    number = 1000
    for student in range(students):
        for digit in range(10):
            (root / str(digit)).mkdir(parents=True, exist_ok=True)
            number += 1
            if (student, digit) not in gaps:
                shade = Image.new("RGB", (100, 100), (10 * student,) * 3)
                shade.save(root / str(digit) / f"IMG_{number}.JPG")


class TestSignDigits:
    def test_students_are_in_one_part_only(self, folder):
        write_hands(folder / "sign_digits", gaps={(3, 9), (7, 0)})
        data = get_dataset("sign_digits")
        seen = []
        for fold in range(data.folds):
            task = data.load(fold, 0)
            students = [
                set(np.rint((x[:, 0, 0, 0] + 1) * 127.5 / 10).astype(int))
                for x in (task.train_x, task.test_x)
            ]
            assert not students[0] & students[1]
            assert students[0] | students[1] == set(range(12))
            seen += sorted(students[1])
        assert seen == list(range(12))
        assert task.test_y.tolist()[:10] == list(range(10))

    def test_as_published(self, folder):
        write_hands(folder / "Sign-Language-Digits-Dataset" / "Dataset", students=10)
        assert len(get_dataset("sign_digits").load(0, 0).test_x) == 20

    def test_a_picture_on_its_side(self, folder):
        root = folder / "sign_digits"
        write_hands(root, students=10)
        picture = Image.new("RGB", (300, 300))
        picture.paste((255, 255, 255), (0, 0, 300, 150))  # the upper half is white
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise: what was above is at the right
        picture.save(root / "0" / "IMG_1001.JPG", exif=exif)
        x = get_dataset("sign_digits").load(0, 0).test_x
        assert x.shape[1:] == (100, 100, 3)
        assert x[0, :, 60:].min() > 0.9
        assert x[0, :, :40].max() < -0.9

    @pytest.mark.parametrize(
        ("digits", "expected"),
        [
            ("0123456789" * 4, [0, 20, 40]),
            ("0123456789" * 2 + "023456789" + "0123456789" * 3, [0, 39, 59]),
            ("0123456789012345678901234567890", [0, 20, 31]),
        ],
    )
    def test_cuts(self, digits, expected):
        assert sign_digits.cuts(np.array([*map(int, digits)]), 2) == expected

    def test_no_clean_border(self):
        with pytest.raises(DataError, match="0 places between two runs"):
            sign_digits.cuts(np.array([*map(int, "012345678" * 5)]))
        with pytest.raises(DataError, match="borders apart"):
            sign_digits.cuts(np.array([*map(int, "0123456789" * 6 + "5" * 90)]), 3)

    def test_broken(self, folder):
        write_hands(folder / "sign_digits", students=10)
        (folder / "sign_digits" / "4" / "IMG_1005.JPG").write_bytes(b"no picture")
        with pytest.raises(DataError, match=r"IMG_1005\.JPG"):
            get_dataset("sign_digits").load(0, 0)
        for path in (folder / "sign_digits" / "3").iterdir():
            path.unlink()
        with pytest.raises(DataError, match=r"3: expected pictures IMG_<number>\.JPG"):
            get_dataset("sign_digits").load(0, 0)


def tone(hertz, seconds=0.5):
    return np.sin(2 * np.pi * hertz * np.arange(int(8000 * seconds)) / 8000)


def write_wave(path, samples, rate=8000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 2**14).astype("<i2").tobytes())


def write_voices(root, speakers="fedcba", count=3):
    root.mkdir(parents=True)
    for digit in range(10):
        for speaker in speakers:
            for index in range(count):
                path = root / f"{digit}_{speaker}_{index}.wav"
                write_wave(path, tone(300 * (digit + 1) + 10 * index))


class TestSpokenDigits:
    @pytest.fixture(autouse=True)
    def two_to_adapt(self, monkeypatch):
        monkeypatch.setattr(spoken_digits, "ADAPT", 2)

    def test_a_speaker_is_left_out(self, folder):
        write_voices(folder / "spoken_digits")
        task = get_dataset("spoken_digits").load(1, 0)
        assert task.train_y.tolist() == np.repeat(range(10), 2).tolist()
        assert task.test_y.tolist() == list(range(10))
        assert len(task.source_y) == 10 * 5 * 3
        # Normalized by the others, band by band.
        np.testing.assert_allclose(task.source_x.mean((0, 1), np.float64), 0, atol=1e-5)
        np.testing.assert_allclose(task.source_x.std((0, 1), np.float64), 1, atol=1e-5)

    def test_the_speaker_is_told_by_the_file(self, folder):
        root = folder / "free-spoken-digit-dataset" / "recordings"
        write_voices(root)
        for path in root.glob("*_b_*.wav"):  # the second by name is silent
            write_wave(path, np.zeros(4000))
        data = get_dataset("spoken_digits")
        assert np.ptp(data.load(1, 0).train_x, axis=(0, 1)).max() < 1e-6
        assert np.ptp(data.load(0, 0).train_x, axis=(0, 1)).min() > 1

    def test_bands_rise_with_the_tone(self):
        tones = [np.pad(tone(hertz), 2000) for hertz in (150, 600, 1400, 3000)]
        found = spoken_digits.log_mel(np.stack(tones).astype(np.float32))
        assert found.shape == (4, 49, 10)
        middle = found[:, 25].argmax(1)
        assert (np.diff(middle) > 0).all()
        assert middle[0] <= 1
        assert middle[-1] >= 7
        np.testing.assert_allclose(found.max((1, 2)), 0, atol=1e-5)
        # Silence before and after, where no frame reaches the tone.
        np.testing.assert_allclose(found[:, [0, 48]], np.log(1e-4), rtol=1e-5)

    @pytest.mark.parametrize("seconds", [0.25, 1.0, 2.0])
    def test_recordings_stand_in_the_middle(self, seconds, tmp_path):
        write_wave(tmp_path / "x.wav", tone(440, seconds))
        samples = spoken_digits._second(tmp_path / "x.wav")
        assert samples.shape == (8000,)
        assert samples.dtype == np.float32
        sounding = np.flatnonzero(np.abs(samples) > 0.1)
        assert abs(sounding[0] - max(0, 4000 - 4000 * seconds)) < 10
        assert abs(sounding[-1] - min(8000, 4000 + 4000 * seconds)) < 10

    def test_another_rate(self, folder):
        write_voices(folder / "spoken_digits", count=1)
        write_wave(folder / "spoken_digits" / "3_c_0.wav", tone(440), rate=16000)
        with pytest.raises(DataError, match=r"3_c_0\.wav.*1 of 2 at 16000"):
            get_dataset("spoken_digits").load(0, 0)

    def test_no_wave(self, folder):
        write_voices(folder / "spoken_digits", count=1)
        (folder / "spoken_digits" / "3_c_0.wav").write_bytes(b"half a file")
        with pytest.raises(DataError, match=r"3_c_0\.wav"):
            get_dataset("spoken_digits").load(0, 0)

    def test_speakers_missing(self, folder):
        write_voices(folder / "spoken_digits", speakers="abc", count=1)
        with pytest.raises(DataError, match="of 6 speakers; received 3 speakers"):
            get_dataset("spoken_digits").load(0, 0)
