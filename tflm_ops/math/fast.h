#ifndef TFLM_OPS_MATH_FAST_H_
#define TFLM_OPS_MATH_FAST_H_

// For the .cc files that hold inner loops: exact arithmetic, as in fp_exact.h, and optimized for
// speed where the Arduino IDE asks for size.

#include "tflm_ops/math/fp_exact.h"

#if defined(__GNUC__) && !defined(__clang__)
// At -Os GCC takes VMLA, exact but a cycle slower than VMUL and VADD.
#pragma GCC optimize("O2")
#endif

// The operations of tile.h are inlined into the functions that own a tile, and those functions
// into nothing: then the inner loops have all registers to themselves at every level.
#if defined(__GNUC__)
#define MEDYATE_ALWAYS_INLINE inline __attribute__((always_inline))
#define MEDYATE_NO_INLINE __attribute__((noinline))
#else
#define MEDYATE_ALWAYS_INLINE inline
#define MEDYATE_NO_INLINE
#endif

#endif  // TFLM_OPS_MATH_FAST_H_
