"""Files: TFLite, C++, Arduino and TFLM libraries.

tflite           graph + memory plan -> .tflite
inference        Keras model -> inference-only .tflite, float32 or int8
cpp              the same graph as C++, for a board without TFLM; cpp_model and cpp_text write it
region           what lies where in a board's weights
arduino          an Arduino library and its sketches; arduino_library writes its folder
tflm_library     our ops as a library beside TFLM
class_names      names of classes, spare ones among them
memory_map       the arena as a picture
sources          the C++ files that a board needs
"""
