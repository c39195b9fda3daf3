#ifndef TFLM_OPS_DEVICE_SHA256_H_
#define TFLM_OPS_DEVICE_SHA256_H_

// SHA-256 (FIPS 180-4) and HMAC with it (RFC 2104), small rather than fast. No heap.

#include <stdint.h>

namespace medyate {

constexpr uint32_t kSha256Bytes = 32;

class Sha256 {
 public:
  Sha256() { Begin(); }

  // Forgets what came before.
  void Begin();

  // Takes the next bytes of the message, which has less than 512 MiB.
  void Update(const void* data, uint32_t bytes);

  // Writes the digest, [kSha256Bytes]. Begin comes next.
  void Finish(uint8_t* digest);

 private:
  void TakeBlock();

  uint32_t state_[8];
  uint32_t bytes_;  // Of the message so far.
  uint8_t block_[64];
};

// Args:
//   key: [key_bytes], any number.
//   tag: [kSha256Bytes]; written.
void HmacSha256(const uint8_t* key, uint32_t key_bytes, const void* data, uint32_t bytes,
                uint8_t* tag);

// Whether two digests or tags are the same, in a time that does not tell where they differ.
bool IsSameTag(const uint8_t* a, const uint8_t* b);

}  // namespace medyate

#endif  // TFLM_OPS_DEVICE_SHA256_H_
