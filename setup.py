"""Builds what is not Python: the op library for the TFLM interpreter, and the C++ sources.

The sources go into the package, so that an installed tf_medyate can export them to a board. Without
a C++ compiler the library is left out, and built when it is first used.
"""

import importlib.util
import pathlib
import re
import shutil
import sys

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).resolve().parent
_OLDEST_GLIBC = 17  # 2.17: TensorFlow's own wheels need no less


def _plugin_module():
    """tf_medyate/simulate/plugin.py alone: its package would import NumPy."""
    sys.path.insert(0, str(ROOT))
    path = ROOT / "tf_medyate" / "simulate" / "plugin.py"
    spec = importlib.util.spec_from_file_location("medyate_plugin", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _sources_module():
    """tf_medyate/cpp_sources.py; importing the package imports nothing else."""
    sys.path.insert(0, str(ROOT))
    return importlib.import_module("tf_medyate.cpp_sources")


class BuildWithOps(build_py):
    """Copies the C++ sources into the package and compiles them."""

    def run(self):
        """Runs the command."""
        super().run()
        if self.editable_mode:
            return  # the checkout is used as it is
        plugin, sources = _plugin_module(), _sources_module()
        target = pathlib.Path(self.build_lib) / "tf_medyate" / sources.PACKAGED
        for source in sources.packaged_files(ROOT):
            copy = target / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        try:
            plugin.compile_library(ROOT, target / plugin.LIBRARY)
        except plugin.PluginError as error:
            print(f"warning: the op library is left out, it is built at first use: {error}")


class WheelWithOps(bdist_wheel):
    """A wheel for any Python 3: the op library is called through ctypes and knows no Python."""

    def get_tag(self):
        """The tag, with the platform that the library really needs."""
        platform = super().get_tag()[2]
        plugin, sources = _plugin_module(), _sources_module()
        build_lib = pathlib.Path(self.get_finalized_command("build").build_lib)
        library = build_lib / "tf_medyate" / sources.PACKAGED / plugin.LIBRARY
        if not library.exists():
            return "py3", "none", "any"
        return "py3", "none", _platform(library.read_bytes(), platform)


def _platform(library, platform):
    """manylinux, if the library needs nothing but a glibc; its symbols say which."""
    needed = [int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", library)]
    if not needed or b"libstdc++" in library:
        return platform
    newest = max(_OLDEST_GLIBC, *needed)
    return platform.replace("linux_", f"manylinux_2_{newest}_")


class PlatformDistribution(Distribution):
    """The wheel holds a shared library."""

    def has_ext_modules(self):
        """True: this is no pure Python package."""
        return True


def _readme():
    """README.md for a package index, which has neither our pictures nor our other pages."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n+", "", text)
    return re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)


setup(
    cmdclass={"build_py": BuildWithOps, "bdist_wheel": WheelWithOps},
    distclass=PlatformDistribution,
    long_description=_readme(),
    long_description_content_type="text/markdown",
)
