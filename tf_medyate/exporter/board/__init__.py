"""Does it fit a board, how long does a step take, what does it cost?

board     the boards: flash, RAM, clock
cycles    cycles of a step, op by op
layer_work  what a pass over a weighted layer does
walks     how a convolution's kernel walks over a map
prices    what each thing costs
estimate  time, energy, wear
firmware  what a board needs of an export
"""
