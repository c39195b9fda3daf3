"""Our TFLM ops as data: names, options, tensors.

words           what the words of variables and options mean: enums, constants
structs         how an op and its options struct are written down
option_structs  the options of every op, field by field
schema          every op: name, options, tensors
header          writes the C++ headers from them
options         options of TensorFlow Lite's built-in ops, by name
"""
