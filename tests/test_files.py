"""What is written is written whole or not at all, whatever happens to the writer."""

import ast
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tf_medyate
from tf_medyate import files
from tf_medyate.errors import OptionError
from tf_medyate.files import OutputError

SWEEP = Path(__file__).with_name("helpers") / "crash_sweep.py"


@pytest.mark.parametrize("seed", range(2))
def test_old_or_new_whatever_happens_to_the_writer(tmp_path, seed):
    """Killed at any instant, out of disk, in a read-only folder; see crash_sweep.py."""
    folder = tmp_path / "sweep"
    folder.mkdir()
    command = [sys.executable, SWEEP, folder, str(seed), "60"]
    env = os.environ | {"PYTHONPATH": str(Path(tf_medyate.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr
    assert all(f"{end} " in done.stdout for end in ("kill -9", "full 3", "read-only 3"))


def test_a_link_is_followed_and_odd_names_are_names(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "link.txt").symlink_to("store/real.txt")
    files.write_text(tmp_path / "link.txt", "here")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "store" / "real.txt").read_text() == "here"
    for name in ("[red]*?.txt", "x" * 240, ".hidden"):
        files.write_text(tmp_path / name, "a")
        files.write_text(tmp_path / name, "b")
        assert (tmp_path / name).read_text() == "b"
    assert not list(tmp_path.glob(".*.part"))


def test_drafts_of_living_writers_stay(tmp_path):
    """Two write the same file at once: each draft is its own, and the last to end wins."""
    started, go_on = threading.Event(), threading.Event()

    def slow():
        with files.replacing(tmp_path / "x.txt") as draft:
            started.set()
            go_on.wait(20)
            draft.write_text("slow")

    thread = threading.Thread(target=slow)
    thread.start()
    assert started.wait(20)
    files.write_text(tmp_path / "x.txt", "fast")
    assert (tmp_path / "x.txt").read_text() == "fast"
    go_on.set()
    thread.join()
    assert (tmp_path / "x.txt").read_text() == "slow"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_folder_that_one_stands_in_is_renewed_in_place(tmp_path, monkeypatch):
    target = tmp_path / "out"
    target.mkdir()
    for name in ("plan", "stale", "mine"):
        (target / name).write_text("old")
    monkeypatch.chdir(target)
    with files.replacing_folder(".", lambda place: place.parts[0] != "mine", "plan") as draft:
        (draft / "plan").write_text("new")
    assert sorted(os.listdir(".")) == ["mine", "plan"]  # not those of a folder that is gone
    assert (target / "plan").read_text() == "new"


def test_what_cannot_be_written_is_told_beforehand(tmp_path, monkeypatch):
    good = tmp_path / "new" / "deep" / "model.keras"
    assert files.check_file("--out", good, (".keras",)) == good
    assert not (tmp_path / "new").exists()
    with pytest.raises(OptionError, match=r"--out: .*ending in \.keras or \.h5; received .*t\.foo"):
        files.check_file("--out", tmp_path / "t.foo", (".keras", ".h5"))
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(OptionError, match="a file; received the folder"):
        files.check_file("--out", tmp_path / "folder.keras", (".keras",))
    (tmp_path / "plain").touch()
    for path in (tmp_path / "plain" / "t.keras", Path("/proc/here/t.keras")):
        with pytest.raises(OutputError, match="a place that can be written to"):
            files.check_file("--out", path, (".keras",))
    with pytest.raises(OptionError, match="a folder; received the file"):
        files.check_folder("--out", tmp_path / "plain")
    with pytest.raises(OutputError, match="a place that can be written to"):
        files.check_folder("--out", "/proc/here")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 99}))
    with pytest.raises(
        OutputError, match=r"100 bytes of free disk space in .*; received 99"
    ) as told:
        files.check_file("--out", good, (".keras",), 100)
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


def test_every_writer_of_the_package_goes_this_way():
    """Raw writes are for drafts, and for what can be made again (builds, caches of data)."""
    raw = {
        "files.py": "this is the way",
        "exporter/write/cpp.py": "into the draft of the folder",
        "device_key.py": "into the draft of the folder",
        "exporter/board/firmware.py": "into the draft of the folder",
        "exporter/write/arduino_library.py": "into the draft of the folder",
        "exporter/write/inference.py": "into the draft of the folder",
        "exporter/manifest.py": "into the draft of the folder",
        "exporter/write/tflite.py": "into the draft of the folder",
        "exporter/write/region.py": "into the draft of the folder",
        "emulator/image.py": "a build",
        "emulator/board.py": "the flash of a board",
        "data/vision.py": "a cache, with drafts of its own",
        "report/theme.py": "into memory",
        "prepared/model.py": "Keras's own save, where a user says",
        "simulate/trainer.py": "into a draft that is open",
        "exporter/ops/header.py": "a source, by its developer",
        "device/protocol_header.py": "a source, by its developer",
    }
    package = Path(tf_medyate.__file__).parent
    names = {"write_text", "write_bytes", "savez", "savefig", "save", "copyfile"}
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                text = ast.unparse(node)
                is_whole = "draft" in text or text.startswith(("files.", "pictures."))
                if node.func.attr in names and not is_whole:
                    found.add(str(path.relative_to(package)))
    assert found <= set(raw), found - set(raw)
