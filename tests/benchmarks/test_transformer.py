"""The vision transformer, at a size of seconds."""

import dataclasses

import keras

from benchmarks import transformer
from tf_medyate.data.registry import get_dataset
from tf_medyate.prepared.folding import layer_specs


def test_attention_is_trained_inside_the_budget():
    task = get_dataset("digits").load(0, 0)
    task = dataclasses.replace(task, train_x=task.train_x[:160], train_y=task.train_y[:160])
    keras.utils.set_random_seed(0)
    base = transformer.vision_transformer(blocks=1, size=8)
    names = {spec.name for spec in layer_specs(base)}
    assert {f"attention_0.{part}" for part in ("query", "key", "value", "output")} < names
    before, after, used = transformer.adapt(base, task, "medyate", 0.3, 16, 0)
    assert after > before
    row = ("medyate", 0.3, [before], [after], [used])
    assert transformer.table([row]).splitlines()[-1].startswith("| medyate | 30% |")
