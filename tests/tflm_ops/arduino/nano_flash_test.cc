// NanoFlash against sketches that end somewhere: the linker is told where, so this is linked again
// for each case. Prints what the flash says of a model with weights at a given address.
//
//   nano_flash_test ADDRESS FLOATS

#include "tflm_ops/arduino/nano_flash.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  medyate::StaticModel model = {};
  model.importance = medyate::tflm::kOptionalTensor;
  model.weights = reinterpret_cast<const float*>(strtoul(argv[1], nullptr, 0));
  model.weights_floats = static_cast<uint32_t>(strtoul(argv[2], nullptr, 0));
  medyate::NanoFlash flash(model);
  const medyate::FlashPlace place = flash.place();
  printf("%s\n%x %x %u %u\n", flash.problem() ? flash.problem() : "all is well",
         static_cast<unsigned>(place.weights_offset), static_cast<unsigned>(place.journal_offset),
         static_cast<unsigned>(place.journal_pages), static_cast<unsigned>(flash.page_bytes()));
  // Nothing but the weights and the journal may be changed, and not even these if there is a
  // problem. On a host an address that is not refused is a crash.
  const uint32_t outside[] = {0,
                              0x10000,
                              place.weights_offset - 4096,
                              place.journal_offset - 4096,
                              place.weights_offset + 4 * model.weights_floats,
                              medyate::kNanoFlashBytes,
                              place.journal_offset,
                              place.weights_offset};
  const uint32_t word = 0;
  for (int i = 0; i < (flash.problem() ? 8 : 6); ++i) {
    const bool is_ours = flash.Erase(outside[i]) || flash.Write(outside[i], &word, 1);
    printf("%s", is_ours ? "CHANGED " : "refused ");
  }
  printf("\n");
  return 0;
}
