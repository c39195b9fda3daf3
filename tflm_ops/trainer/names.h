#ifndef TFLM_OPS_TRAINER_NAMES_H_
#define TFLM_OPS_TRAINER_NAMES_H_

// Names of classes as bytes.

#include <stdint.h>

namespace medyate {

// Whether the bytes can be a name: UTF-8 as RFC 3629 has it (no character in more bytes than it
// needs, no surrogates, none beyond U+10FFFF), without control characters, which would break lines
// or steer terminals: none below U+0020, none from U+007F to U+009F, no ends of lines and
// paragraphs and none that turn the direction of writing (U+2028 to U+202E, U+2066 to U+2069).
bool IsValidName(const char* text, uint32_t bytes);

// Copies a name, or as many of its characters as fit.
//
// Args:
//   name: UTF-8, ends with a zero byte.
//   out: [room]; ends with a zero byte, too. May be the name itself.
//   room: above 0.
void CopyName(const char* name, char* out, uint32_t room);

// Room for NumberedName beside the prefix: digits and a zero byte.
constexpr uint32_t kNumberBytes = 11;

// Prefix and number, as in "class 7".
//
// Args:
//   number: at least 0.
//   out: the prefix's bytes and kNumberBytes.
void NumberedName(const char* prefix, int number, char* out);

}  // namespace medyate

#endif  // TFLM_OPS_TRAINER_NAMES_H_
