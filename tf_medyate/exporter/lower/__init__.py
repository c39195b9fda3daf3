"""From a prepared model and a plan to one training graph.

recipe           model + callback -> what is trained, and how
geometry         Keras layer -> shapes; what is fused
training_layout  where everything trained lies in the pool
builder          collects tensors and ops
state            what the rules of lowering share
forward          Keras graph -> forward ops; weighted and weightless have the rules
backward         forward ops -> backward ops and updates
step             all of it: one graph, one training step
"""
