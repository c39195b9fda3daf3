// A vector table: what must stay at the beginning of a sketch's flash.

extern "C" {
__attribute__((section(".Vectors"), used)) extern const unsigned kVectors[64] = {0x20040000u};
}
