#ifndef TFLM_OPS_MATH_INT8_INLINE_H_
#define TFLM_OPS_MATH_INT8_INLINE_H_

// The words that int8 layers are made of. On a core with DSP instructions each is one of them;
// elsewhere it is spelled out, to the same bits.

#include <stdint.h>
#include <string.h>

#include "tflm_ops/math/fast.h"
#include "tflm_ops/math/int8.h"

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32) && defined(__GNUC__)
#define MEDYATE_DSP 1
#else
#define MEDYATE_DSP 0
#endif

// As in tile.h: source order is what fits the registers.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns", "no-tree-ter", "no-ivopts")
#endif

namespace medyate {
namespace math {

MEDYATE_ALWAYS_INLINE uint32_t Load32(const void* p) {
  uint32_t word;
  memcpy(&word, p, sizeof(word));
  return word;
}

// Two 16-bit numbers in a word.
MEDYATE_ALWAYS_INLINE int32_t Low(uint32_t pair) { return static_cast<int16_t>(pair); }
MEDYATE_ALWAYS_INLINE int32_t High(uint32_t pair) { return static_cast<int32_t>(pair) >> 16; }
MEDYATE_ALWAYS_INLINE uint32_t Pair(int32_t low, int32_t high) {
  return (static_cast<uint32_t>(low) & 0xffffu) | static_cast<uint32_t>(high) << 16;
}

// Bytes 0 and 2 of four int8 as a pair, plus a pair.
MEDYATE_ALWAYS_INLINE uint32_t EvenBytes(uint32_t pair, uint32_t bytes) {
#if MEDYATE_DSP
  uint32_t result;
  __asm__("sxtab16 %0, %1, %2" : "=r"(result) : "r"(pair), "r"(bytes));
  return result;
#else
  return Pair(Low(pair) + static_cast<int8_t>(bytes),
              High(pair) + static_cast<int8_t>(bytes >> 16));
#endif
}

// Bytes 1 and 3, plus a pair.
MEDYATE_ALWAYS_INLINE uint32_t OddBytes(uint32_t pair, uint32_t bytes) {
#if MEDYATE_DSP
  uint32_t result;
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(pair), "r"(bytes));
  return result;
#else
  return EvenBytes(pair, bytes >> 8);
#endif
}

MEDYATE_ALWAYS_INLINE uint32_t EvenBytes(uint32_t bytes) {
#if MEDYATE_DSP
  uint32_t result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(bytes));
  return result;
#else
  return EvenBytes(0, bytes);
#endif
}

MEDYATE_ALWAYS_INLINE uint32_t OddBytes(uint32_t bytes) {
#if MEDYATE_DSP
  uint32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(bytes));
  return result;
#else
  return OddBytes(0, bytes);
#endif
}

// sum + a.low * b.low + a.high * b.high.
MEDYATE_ALWAYS_INLINE int32_t AddProducts(int32_t sum, uint32_t a, uint32_t b) {
#if MEDYATE_DSP
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return sum + Low(a) * Low(b) + High(a) * High(b);
#endif
}

// sum + a.low * b.low, and the same of the high halves.
MEDYATE_ALWAYS_INLINE int32_t AddLowProduct(int32_t sum, uint32_t a, uint32_t b) {
#if MEDYATE_DSP
  int32_t result;
  __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return sum + Low(a) * Low(b);
#endif
}

MEDYATE_ALWAYS_INLINE int32_t AddHighProduct(int32_t sum, uint32_t a, uint32_t b) {
#if MEDYATE_DSP
  int32_t result;
  __asm__("smlatt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return sum + High(a) * High(b);
#endif
}

// a * b / 2^32, rounded half up.
MEDYATE_ALWAYS_INLINE int32_t HighProduct(int32_t a, int32_t b) {
#if MEDYATE_DSP
  int32_t result;
  __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
#else
  return static_cast<int32_t>((static_cast<int64_t>(a) * b + (int64_t{1} << 31)) >> 32);
#endif
}

MEDYATE_ALWAYS_INLINE int32_t ShiftLeft(int32_t x, int bits) {
  return static_cast<int32_t>(static_cast<uint32_t>(x) << bits);
}

// Held within -128 to 127.
MEDYATE_ALWAYS_INLINE int8_t Saturated(int32_t x) {
#if MEDYATE_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
  return static_cast<int8_t>(result);
#else
  return static_cast<int8_t>(x < -128 ? -128 : x > 127 ? 127 : x);
#endif
}

// x times a multiplier in Q31, over 2^shift, as TensorFlow Lite rounds it: the product half up,
// then the shift half away from zero. |x| is below 2^30, shift at least 1.
MEDYATE_ALWAYS_INLINE int32_t Scaled(int32_t x, int32_t multiplier, int shift) {
  // Half up at 2^-31 is half up of the doubled at 2^-32.
  const int32_t product = HighProduct(ShiftLeft(x, 1), multiplier);
  const int32_t half = static_cast<int32_t>((1u << shift) >> 1);
  return (product + half + (product >> 31)) >> shift;
}

}  // namespace math
}  // namespace medyate

#endif  // TFLM_OPS_MATH_INT8_INLINE_H_
