"""Run a training graph on this computer, in the official TFLM interpreter with our ops.

>>> from tf_medyate import simulate
>>> interpreter = simulate.Interpreter(open("out/train.tflite", "rb").read(), arena_bytes=1 << 20)
>>> logits, loss = interpreter.run(sample, label, learning_rate, command)
>>> interpreter.arena.total_bytes
"""

from tf_medyate.simulate.interpreter import ArenaUse, Interpreter, InterpreterError
from tf_medyate.simulate.plugin import PluginError, build_plugin, plugin_path

__all__ = [
    "ArenaUse",
    "Interpreter",
    "InterpreterError",
    "PluginError",
    "build_plugin",
    "plugin_path",
]
