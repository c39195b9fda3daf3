"""Fine-tune Keras models inside a memory budget, and take the training step to microcontrollers.

>>> import tf_medyate as md
>>> model = md.prepare(base)
>>> model.compile(keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy")
>>> medyate = md.MeDyate(budget="8KiB")
>>> model.fit(x, y, batch_size=8, epochs=20, callbacks=[medyate])
>>> print(medyate.report())
>>> tuned = md.strip(model)
>>> bundle = md.export(model, "out/", medyate)
>>> trainer = md.simulate.TFLMTrainer("out/")

Names are loaded when they are first used: TensorFlow takes seconds to import, and a
budget or a sampler does not need it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tf_medyate._registration import register_with_keras
from tf_medyate._version import __version__

register_with_keras()

if TYPE_CHECKING:
    from tf_medyate import device, errors, simulate, spec, zoo
    from tf_medyate.callback import MeDyate
    from tf_medyate.cost import CostModel
    from tf_medyate.exporter.board.firmware import FirmwareOptions
    from tf_medyate.exporter.bundle import export
    from tf_medyate.exporter.check import check_export
    from tf_medyate.exporter.fitting import LayersThatFit
    from tf_medyate.prepared import layers
    from tf_medyate.prepared.folding import layer_specs, prepare, strip
    from tf_medyate.prepared.spare_classes import add_spare_classes
    from tf_medyate.select import strategies
    from tf_medyate.select.gradients import measure_gradients
    from tf_medyate.select.ranking import rank_layers
    from tf_medyate.select.ranking_file import load_ranking, save_ranking
    from tf_medyate.select.sampling import sample_channels
    from tf_medyate.select.strategies import PRESETS, Strategy, strategy
    from tf_medyate.spec import LayerRanking, LayerSpec, MemoryBudget, UpdatePlan
    from tf_medyate.trainer import Trainer

_HOMES = {
    "MeDyate": "callback",
    "CostModel": "cost",
    "FirmwareOptions": "exporter.board.firmware",
    "export": "exporter.bundle",
    "check_export": "exporter.check",
    "LayersThatFit": "exporter.fitting",
    "layer_specs": "prepared.folding",
    "prepare": "prepared.folding",
    "strip": "prepared.folding",
    "add_spare_classes": "prepared.spare_classes",
    "measure_gradients": "select.gradients",
    "rank_layers": "select.ranking",
    "load_ranking": "select.ranking_file",
    "save_ranking": "select.ranking_file",
    "sample_channels": "select.sampling",
    "PRESETS": "select.strategies",
    "Strategy": "select.strategies",
    "Trainer": "trainer",
    "strategy": "select.strategies",
    "LayerRanking": "spec",
    "LayerSpec": "spec",
    "MemoryBudget": "spec",
    "UpdatePlan": "spec",
}
_MODULES = {
    "device": "device",
    "errors": "errors",
    "layers": "prepared.layers",
    "simulate": "simulate",
    "spec": "spec",
    "strategies": "select.strategies",
    "zoo": "zoo",
}

__all__ = [
    "PRESETS",
    "CostModel",
    "FirmwareOptions",
    "LayerRanking",
    "LayerSpec",
    "LayersThatFit",
    "MeDyate",
    "MemoryBudget",
    "Strategy",
    "Trainer",
    "UpdatePlan",
    "__version__",
    "add_spare_classes",
    "check_export",
    "device",
    "errors",
    "export",
    "layer_specs",
    "layers",
    "load_ranking",
    "measure_gradients",
    "prepare",
    "rank_layers",
    "sample_channels",
    "save_ranking",
    "simulate",
    "spec",
    "strategies",
    "strategy",
    "strip",
    "zoo",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name) or _MODULES.get(name)
    if home is None:
        raise AttributeError(f"module 'tf_medyate' has no attribute {name!r}")
    if home.startswith("prepared."):  # it needs Keras: register the model's class, too
        importlib.import_module("tf_medyate.prepared.model")
    module = importlib.import_module(f"tf_medyate.{home}")
    return getattr(module, name) if name in _HOMES else module


def __dir__() -> list[str]:
    return sorted(__all__)
