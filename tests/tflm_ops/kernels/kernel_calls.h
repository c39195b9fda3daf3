#ifndef TESTS_TFLM_OPS_KERNELS_KERNEL_CALLS_H_
#define TESTS_TFLM_OPS_KERNELS_KERNEL_CALLS_H_

// Draws calls of each op: random options, and tensors of the sizes that the options ask for.
// A wild call has odd numbers in its options, which its tensors still follow as far as that goes.

#include <string>

#include "tests/tflm_ops/kernels/fake_tflm.h"
#include "tests/tflm_ops/support/test_util.h"

namespace medyate {
namespace fake {

using math::Random;

// An odd number in place of `word`: at the edge of a range, beside what it was, or anything.
uint32_t OddWord(Random* random, uint32_t word);

// A call of the op; its `op` is empty if this file does not know the op.
Call DrawCall(const std::string& op, Random* random, bool wild);

}  // namespace fake
}  // namespace medyate

#endif  // TESTS_TFLM_OPS_KERNELS_KERNEL_CALLS_H_
