// Normalizations and copies: the host's bits.

#include <stdint.h>
#include <stdio.h>

#include "tests/tflm_ops/support/frozen_digest.h"

int FrozenFailures() {
  static medyate::math::FrozenDigest digest;
  const uint32_t got = digest.Run();
  printf("frozen digest %08lx, host %08lx\n", static_cast<unsigned long>(got),
         static_cast<unsigned long>(medyate::math::kFrozenDigest));
  return got != medyate::math::kFrozenDigest;
}
