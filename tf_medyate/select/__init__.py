"""Which layers and channels are trained in each draw; nothing here changes a model.

strategies   MeDyate and its rivals, by name
ranking      gradients -> scores -> kept layers
sampling     budget, importance, seed, draw -> UpdatePlan, bit for bit as in C++
velocity     the measurement that the strategy "velocity" needs
fitting      the best layers that fit a device, and the frontier of those that were tried
planner      all of it, for the callback
stability    how alike two rankings are
diagnostics  the method's assumptions, measured on a model
"""
