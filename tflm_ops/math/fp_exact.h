#ifndef TFLM_OPS_MATH_FP_EXACT_H_
#define TFLM_OPS_MATH_FP_EXACT_H_

// Turns floating-point contraction (a * b + c rounded once, in a fused multiply-add) off from here
// to the end of the file that includes it, so that results are the same bit for bit on every host
// and board. It does so in the source because users of the Arduino IDE cannot pass compiler flags.
//
// Every .cc file of tflm_ops that computes with floats includes it, and so does every header that
// defines such functions; headers that only declare them leave their users' settings alone.
// tests/tflm_ops/math/contraction_test.sh looks for fused instructions in the object code.

#if defined(__FAST_MATH__)
#error "tflm_ops fixes the order of every sum: compile it without -ffast-math."
#endif

#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "tflm_ops needs float arithmetic without excess precision (on 32-bit x86: -mfpmath=sse)."
#endif

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#else
#error "Say here how this compiler turns floating-point contraction off."
#endif

#endif  // TFLM_OPS_MATH_FP_EXACT_H_
