"""Run a training graph on this computer, in the official TFLM interpreter with our ops.

>>> trainer = md.simulate.TFLMTrainer("out/")            # a folder that md.export wrote
>>> loss = trainer.step(sample, label)
>>> trainer.end_epoch()
>>> trainer.predict(sample)

One level below:

>>> from tf_medyate import simulate
>>> interpreter = simulate.Interpreter(open("out/train.tflite", "rb").read(), arena_bytes=1 << 20)
>>> logits, loss, *_ = interpreter.run(*inputs)    # sample, label, rate, command
>>> interpreter.arena.total_bytes
"""

from tf_medyate.simulate.interpreter import ArenaUse, Interpreter, InterpreterError
from tf_medyate.simulate.plugin import PluginError, build_plugin, plugin_path
from tf_medyate.simulate.trainer import TFLMTrainer

__all__ = [
    "ArenaUse",
    "Interpreter",
    "InterpreterError",
    "PluginError",
    "TFLMTrainer",
    "build_plugin",
    "plugin_path",
]
