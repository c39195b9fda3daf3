"""Fine-tune Keras models inside a memory budget, and take the training step to microcontrollers.

>>> import tf_medyate as md
>>> model = md.prepare(base)
>>> model.compile(optimizer=keras.optimizers.SGD(0.05), loss=..., metrics=["accuracy"])
>>> medyate = md.MeDyate(budget="8KiB")
>>> model.fit(x, y, batch_size=8, epochs=20, callbacks=[medyate])
>>> print(medyate.report())
>>> tuned = md.strip(model)
>>> bundle = md.export(model, "out/", plan=medyate)
>>> trainer = md.simulate.TFLMTrainer("out/")

Names are loaded when they are first used: TensorFlow takes seconds to import, and whoever only
wants a budget or a sampler does not need it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tf_medyate._version import __version__

if TYPE_CHECKING:
    from tf_medyate import device, errors, simulate, spec, zoo
    from tf_medyate.callback import MeDyate
    from tf_medyate.cost import CostModel
    from tf_medyate.exporter.board.firmware import FirmwareOptions
    from tf_medyate.exporter.bundle import export_model as export
    from tf_medyate.exporter.write.class_names import add_spare_classes
    from tf_medyate.prepared import layers
    from tf_medyate.prepared.folding import layer_specs, prepare, strip
    from tf_medyate.select import strategies
    from tf_medyate.select.ranking import measure_gradients, rank_layers
    from tf_medyate.select.sampling import sample_channels
    from tf_medyate.select.strategies import PRESETS, Strategy
    from tf_medyate.spec import LayerRanking, LayerSpec, MemoryBudget, UpdatePlan

_HOMES = {
    "MeDyate": "callback",
    "CostModel": "cost",
    "FirmwareOptions": "export.firmware",
    "add_spare_classes": "export.classes",
    "layer_specs": "folding",
    "prepare": "folding",
    "strip": "folding",
    "measure_gradients": "ranking",
    "rank_layers": "ranking",
    "sample_channels": "sampling",
    "LayerRanking": "spec",
    "LayerSpec": "spec",
    "MemoryBudget": "spec",
    "UpdatePlan": "spec",
    "PRESETS": "strategies",
    "Strategy": "strategies",
}
_MODULES = ("device", "errors", "export", "layers", "simulate", "spec", "strategies", "zoo")

__all__ = [
    "PRESETS",
    "CostModel",
    "FirmwareOptions",
    "LayerRanking",
    "LayerSpec",
    "MeDyate",
    "MemoryBudget",
    "Strategy",
    "UpdatePlan",
    "__version__",
    "add_spare_classes",
    "device",
    "errors",
    "export",
    "layer_specs",
    "layers",
    "measure_gradients",
    "prepare",
    "rank_layers",
    "sample_channels",
    "simulate",
    "spec",
    "strategies",
    "strip",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"tf_medyate.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"tf_medyate.{name}")
    raise AttributeError(f"module 'tf_medyate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
