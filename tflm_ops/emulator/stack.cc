#include "tflm_ops/emulator/stack.h"

extern "C" uint32_t _data_begin, _bss_end, _stack_top;

namespace medyate {
namespace {

const uint32_t kPaint = 0x5ac3a53cu;  // A float of 2.8e16: what no activation looks like.

}  // namespace

void PaintStack() {
  volatile uint32_t here;
  for (volatile uint32_t* p = &_bss_end; p < &here; ++p) *p = kPaint;
}

uint32_t StackBytes() {
  const volatile uint32_t* p = &_bss_end;
  while (p < &_stack_top && *p == kPaint) ++p;
  return static_cast<uint32_t>(&_stack_top - p) * 4;
}

uint32_t StaticBytes() { return static_cast<uint32_t>(&_bss_end - &_data_begin) * 4; }

}  // namespace medyate
