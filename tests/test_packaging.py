"""From the source distribution to an installed wheel: what somebody without the checkout gets."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir")
MADE_BY_SETUPTOOLS = {"PKG-INFO", "setup.cfg"}

DEMO = """
import pathlib, sys
import keras, numpy as np
import tf_medyate as md

base = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Conv2D(4, 3, activation="relu"),
                         keras.layers.Conv2D(4, 3, activation="relu"),
                         keras.layers.Flatten(), keras.layers.Dense(3)])
rng = np.random.default_rng(0)
x, y = rng.normal(size=(8, 6, 6, 2)).astype("float32"), rng.integers(0, 3, 8)
model = md.prepare(base)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.01), loss)
medyate = md.MeDyate(budget="2KiB", verbose=0)
model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=[medyate])
md.export(model, "out", medyate, firmware=md.FirmwareOptions(arduino=True))
trainer = md.simulate.TFLMTrainer("out")
assert np.isfinite(trainer.step(x[0], y[0]))
np.testing.assert_allclose(trainer.predict(x[1]).shape, (3,))
print(md.__file__)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the checkout without what git ignores, where builds leave nothing behind."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    copy = tmp_path_factory.mktemp("packaging") / "source"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "shared", *ignored))
    return copy


@pytest.fixture(scope="module")
def sdist(source):
    files = _files(source)
    build = "from setuptools import build_meta; build_meta.build_sdist('..')"
    _run(sys.executable, "-c", build, cwd=source)
    (archive,) = source.parent.glob("*.tar.gz")
    return archive, files


@pytest.fixture(scope="module")
def wheel(sdist):
    folder = sdist[0].parent
    _run(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, sdist[0])
    (built,) = folder.glob("*.whl")
    return built


def _run(*command, **options):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_source_distribution_is_the_checkout(sdist):
    archive, files = sdist
    with tarfile.open(archive) as opened:
        names = [m.name.partition("/")[2] for m in opened.getmembers() if m.isfile()]
    held = {name for name in names if ".egg-info/" not in name} - MADE_BY_SETUPTOOLS
    assert held == files


def test_the_wheel_says_what_it_needs_and_no_more(wheel):
    assert "-py3-none-manylinux_2_" in wheel.name
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        (metadata,) = (opened.read(n).decode() for n in names if n.endswith("/METADATA"))
    assert "tf_medyate/py.typed" in names
    assert not [name for name in names if name.startswith("tests")]
    head, _, page = metadata.partition("\n\n")
    assert "License-Expression: Apache-2.0" in head
    assert "Classifier: Operating System :: POSIX :: Linux" in head
    assert page.startswith("# tf_medyate")
    assert "](docs" not in page  # nothing that only the checkout could show


def test_the_wheel_works_without_a_compiler(wheel, tmp_path):
    """In an environment with nothing of the checkout; TensorFlow and its kind are borrowed."""
    fresh, nothing = tmp_path / "fresh", tmp_path / "nothing"
    nothing.mkdir()
    _run(sys.executable, "-m", "venv", "--without-pip", fresh)
    python = fresh / "bin" / "python"
    (site,) = fresh.glob("lib/python3*/site-packages")
    _run(
        *PIP, "--python", python, "install", "--no-deps", "--no-index", "--ignore-installed", wheel
    )
    # A plain path: the .pth files over there, of an editable installation, are not read.
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"])
    env = {"PATH": str(nothing), "HOME": str(nothing), "TF_CPP_MIN_LOG_LEVEL": "3"}
    version = wheel.name.split("-")[1]
    shown = _run(fresh / "bin" / "medyate", "--version", cwd=nothing, env=env)
    assert shown == f"tf_medyate {version}\n"
    (tmp_path / "demo.py").write_text(DEMO)
    shown = _run(python, tmp_path / "demo.py", cwd=nothing, env=env)
    assert Path(shown.split()[-1]).is_relative_to(site)
    assert [*nothing.glob("out/arduino/**/*.ino")]
