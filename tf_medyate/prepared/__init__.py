"""An ordinary Keras model becomes one with channel masks and a live pool, and back.

graph          a Keras model as nodes and edges
rebuild        a model from them, with other layers
copies         of the layers that stay as they are
operators      x + y and the like as layers
weighted       LayerSpecs from a graph
supported      which layers are masked, folded or kept, and refusals
folding        prepare and strip
tensors        small TensorFlow helpers: gradients, gathers, assignments
pool_layout    which channel owns which run of the pool
state          the pool and its bookkeeping, in Keras variables
layers         Conv2D, DepthwiseConv2D, ... with channel masks
recurrent      the recurrent half of LSTM, GRU and SimpleRNN, likewise
parts          recurrent layers, attention and EinsumDense as masked parts
data           checks of what fit is given, and batches of it to measure on
model          the prepared model: fit, its commit
update         loads a plan into the model
slots          what an optimizer keeps for each weight
host_memory    gives freed pages back
scope_names    names that TensorFlow cannot compute under
spare_classes  outputs that a device names later
"""
