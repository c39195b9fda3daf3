"""The papers' evaluation as one command: nets, data, budgets, rivals; resumable; on many machines.

    suites, budgets, recipe -> what is compared          frozen values
    choice                  -> which of it is run, or whatever the user names
    grid                    -> the runs and their keys
    augment, material       -> data and nets, as runs and other commands (files) take them
    execute                 -> one run to one result
    store                   -> results on disk, each exactly once
    runner, ray_runner      -> all runs, here or on a cluster
    panel, statistics, claims, layer_order, tables, charts, page, report -> what came of it
    command                 -> `medyate bench`

Example:
    >>> from tf_medyate.bench.plan.grid import grid
    >>> from tf_medyate.bench.run.runner import run_here
    >>> from tf_medyate.bench.run.store import Store
    >>> from tf_medyate.bench.plan.suites import get_suite
    >>> outcome = run_here(grid(get_suite("smoke"), ["medyate", "head"], [0]), Store("runs"))
"""
