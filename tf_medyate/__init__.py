"""Fine-tune Keras models inside a memory budget, and take the training step to microcontrollers.

>>> import tf_medyate as md
>>> model = md.prepare(base)
>>> model.compile(optimizer=keras.optimizers.SGD(0.05), loss=..., metrics=["accuracy"])
>>> medyate = md.MeDyate(budget="8KiB")
>>> model.fit(x, y, batch_size=8, epochs=20, callbacks=[medyate])
>>> print(medyate.report())
>>> tuned = md.strip(model)
"""

from tf_medyate import errors
from tf_medyate._version import __version__
from tf_medyate.callback import MeDyate
from tf_medyate.cost import CostModel
from tf_medyate.folding import layer_specs, prepare, strip
from tf_medyate.ranking import measure_gradients, rank_layers
from tf_medyate.sampling import sample_channels
from tf_medyate.spec import LayerRanking, LayerSpec, MemoryBudget, UpdatePlan
from tf_medyate.strategies import PRESETS, Strategy

__all__ = [
    "PRESETS",
    "CostModel",
    "LayerRanking",
    "LayerSpec",
    "MeDyate",
    "MemoryBudget",
    "Strategy",
    "UpdatePlan",
    "__version__",
    "errors",
    "layer_specs",
    "measure_gradients",
    "prepare",
    "rank_layers",
    "sample_channels",
    "strip",
]
