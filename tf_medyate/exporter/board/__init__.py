"""Does it fit a board, how long does a step take, what does it cost?

board     the boards: flash, RAM, clock
cycles    cycles of a step, op by op
estimate  time, energy, wear
firmware  what a board needs of an export
"""
