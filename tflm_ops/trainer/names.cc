#include "tflm_ops/trainer/names.h"

#include <string.h>

namespace medyate {
namespace {

bool Continues(char byte) { return (static_cast<uint8_t>(byte) & 0xc0) == 0x80; }

bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

// Bytes of the character that begins here; 0 if it is none, or a control character.
//
// Args:
//   text: [bytes], at least one.
uint32_t CharacterBytes(const char* text, uint32_t bytes) {
  const uint8_t first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return IsControl(first) ? 0 : 1;
  const uint32_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc0 || first > 0xf7 || length > bytes) return 0;
  uint32_t code = first & (0x7fu >> length);
  for (uint32_t i = 1; i < length; ++i) {
    if (!Continues(text[i])) return 0;
    code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3fu);
  }
  const uint32_t least = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  const bool is_character = code >= least && code <= 0x10ffff && !is_surrogate;
  return is_character && !IsControl(code) ? length : 0;
}

}  // namespace

bool IsValidName(const char* text, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes;) {
    const uint32_t length = CharacterBytes(text + i, bytes - i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

void CopyName(const char* name, char* out, uint32_t room) {
  uint32_t bytes = static_cast<uint32_t>(strlen(name));
  if (bytes >= room) {
    bytes = room - 1;
    while (bytes > 0 && Continues(name[bytes])) --bytes;
  }
  memmove(out, name, bytes);
  out[bytes] = 0;
}

void NumberedName(const char* prefix, int number, char* out) {
  while (*prefix) *out++ = *prefix++;
  uint32_t digits = 1;
  for (int rest = number; rest >= 10; rest /= 10) ++digits;
  out[digits] = 0;
  while (digits-- > 0) {
    out[digits] = static_cast<char>('0' + number % 10);
    number /= 10;
  }
}

}  // namespace medyate
