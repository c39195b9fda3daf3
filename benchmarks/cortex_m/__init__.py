"""Programs for the emulated Cortex-M4F, and what it takes to count their instructions and cycles.

benchmarks/cortex_m.py compiles and runs them.
"""
