"""How the code that goes onto a device is compiled."""

DEVICE_COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fno-exceptions",
    "-fno-rtti",
]

TEST_COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
]
