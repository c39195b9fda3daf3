// The int8 layers with DSP instructions: the host's bits.

#include <stdint.h>
#include <stdio.h>

#include "tests/tflm_ops/support/int8_digest.h"

int Int8Failures() {
  static medyate::math::Int8Digest digest;
  const uint32_t got = digest.Run();
  printf("int8 digest %08lx, host %08lx\n", static_cast<unsigned long>(got),
         static_cast<unsigned long>(medyate::math::kInt8Digest));
  return got != medyate::math::kInt8Digest;
}
