"""Builds what is not Python: the op library for the TFLM interpreter, and the C++ sources.

The sources go into the package, so that an installed tf_medyate can export them to a board. Without
a C++ compiler the library is left out, and built when it is first used.
"""

import importlib.util
import pathlib
import shutil
import sys

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).resolve().parent


def _plugin_module():
    """tf_medyate/simulate/plugin.py alone: its package would import NumPy."""
    sys.path.insert(0, str(ROOT))
    path = ROOT / "tf_medyate" / "simulate" / "plugin.py"
    spec = importlib.util.spec_from_file_location("medyate_plugin", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class BuildWithOps(build_py):
    """Copies the C++ sources into the package and compiles them."""

    def run(self):
        """Runs the command."""
        super().run()
        if self.editable_mode:
            return  # the checkout is used as it is
        plugin = _plugin_module()
        target = pathlib.Path(self.build_lib) / "tf_medyate" / plugin.PACKAGED
        for source in plugin.packaged_files(ROOT):
            copy = target / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        try:
            plugin.compile_library(ROOT, target / plugin.LIBRARY)
        except plugin.PluginError as error:
            print(f"warning: the op library is left out, it is built at first use: {error}")


class PlatformDistribution(Distribution):
    """The wheel holds a shared library."""

    def has_ext_modules(self):
        """True: this is no pure Python package."""
        return True


setup(cmdclass={"build_py": BuildWithOps}, distclass=PlatformDistribution)
