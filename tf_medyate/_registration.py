"""Makes our classes known to Keras once both are imported, so that `load_model` finds them.

Keras finds a saved class by registration alone, and registering needs Keras, which takes seconds to
import. So it waits until somebody imports it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import sys


def register_with_keras():
    """Registers now if Keras is imported already, or else as soon as it is."""
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _WaitsForKeras())


def _register():
    if sys.modules["keras"].backend.backend() != "tensorflow":  # the only one we run on
        return
    # One of our own modules may be what imports Keras, before the model's module can be.
    with contextlib.suppress(ImportError):
        importlib.import_module("tf_medyate.prepared.model")


class _WaitsForKeras(importlib.abc.MetaPathFinder):
    """Finds `keras` where it lies, and has us told when it has been imported."""

    def __init__(self):
        self._asks_others = False

    def find_spec(self, fullname, path, target=None):
        """The spec of `keras` as others find it, None for everything else."""
        # Coverage tools and the like ask all other finders, too: us, in the middle of asking them.
        if fullname != "keras" or self._asks_others:
            return None
        self._asks_others = True
        try:
            others = [finder for finder in sys.meta_path if finder is not self]
            specs = (finder.find_spec(fullname, path, target) for finder in others)
            spec = next((found for found in specs if found is not None), None)
        finally:
            self._asks_others = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module):
                execute(module)
                sys.meta_path.remove(self)  # not before: a module may be looked for only
                _register()

            spec.loader.exec_module = execute_and_register
        return spec
