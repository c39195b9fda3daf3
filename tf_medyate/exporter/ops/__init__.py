"""Our TFLM ops as data: names, options, tensors.

structs  how an options struct is packed
schema   every op, field by field
header   writes tflm_ops/schema/op_options.h from it
options  options of TensorFlow Lite's built-in ops, by name
"""
