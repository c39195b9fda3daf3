#include "tests/tflm_ops/kernels/kernel_calls.h"

#include <string.h>

#include "tests/tflm_ops/kernels/call_builder.h"

namespace medyate {
namespace fake {
namespace {

uint32_t BitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

}  // namespace

uint32_t OddWord(Random* random, uint32_t word) {
  static const uint32_t kEdges[] = {
      0u,          1u,          2u,          3u,          127u,        128u,        255u,
      256u,        4096u,       32768u,      46341u,      65535u,      65536u,      65537u,
      0x1000000u,  0x1000001u,  0x20000000u, 0x3fffffffu, 0x40000000u, 0x7ffffffeu, 0x7fffffffu,
      0x80000000u, 0x80000001u, 0xfffffffeu, 0xffffffffu, 0x7f800000u, 0xff800000u, 0x7fc00000u};
  switch (random->Int(0, 4)) {
    case 0:
      return static_cast<uint32_t>(random->Int(-2, 12));
    case 1:
      return word + static_cast<uint32_t>(random->Int(-2, 2));
    case 2:
      return kEdges[random->Int(0, sizeof(kEdges) / sizeof(kEdges[0]) - 1)];
    case 3:
      return BitsOf(random->Float() * 1e30f);
    default:
      return static_cast<uint32_t>(random->Int(0, 65535)) << 16 |
             static_cast<uint32_t>(random->Int(0, 65535));
  }
}

Call DrawCall(const std::string& op, Random* random, bool wild) {
  Builder builder(op, random, wild);
  for (const Draws* draws :
       {&LayerCalls(), &FrozenCalls(), &ElementwiseCalls(), &MapCalls(), &ControlCalls()}) {
    const auto found = draws->find(op);
    if (found != draws->end()) return found->second(&builder);
  }
  // All others are unary ops and their gradients: a right call of them fails if one is not.
  const bool is_gradient = op.find("_GRADIENT") != std::string::npos;
  return DrawElements(&builder, is_gradient ? 2 : 1, is_gradient);
}

}  // namespace fake
}  // namespace medyate
