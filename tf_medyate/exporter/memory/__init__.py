"""Where tensors lie while a step runs.

placing  best fit of blocks that live for a while
planner  lifetimes -> arena offsets
arena    what TFLM will report
"""
