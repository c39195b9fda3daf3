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

# For tests with classes of libraries without type information, which UBSan would look for.
NO_RTTI_TEST_COPTS = TEST_COPTS + ["-fno-sanitize=vptr"]
