"""The training graph as checked, immutable values.

values  kinds, dtypes, attributes, quantization
nodes   tensors and ops
rules   what every graph keeps
graph   the graph
"""
