"""Data sets for demos, tests and benchmarks.

`tf_medyate.data.registry` lists all of them by name, as tasks for benchmarks. At hand here:

watch: smartwatch motion data of ten wearers, out of the installed seglearn package.

Example:
    >>> from tf_medyate.data import leave_one_out
    >>> split = leave_one_out(wearer=3)
    >>> split.adapt_x.shape
    (112, 100, 6)
"""

from tf_medyate.data.watch import WatchData, WearerSplit, leave_one_out, load_watch

__all__ = ["WatchData", "WearerSplit", "leave_one_out", "load_watch"]
