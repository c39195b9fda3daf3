#include "tflm_ops/device/sha256.h"

#include <string.h>

namespace medyate {
namespace {

const uint32_t kBlockBytes = 64;
const uint32_t kRounds = 64;

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const uint32_t kRoundConstants[kRounds] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t Rotate(uint32_t x, uint32_t bits) { return x >> bits | x << (32 - bits); }

void PutWord(uint32_t word, uint8_t* bytes) {
  for (uint32_t i = 0; i < 4; ++i) bytes[i] = static_cast<uint8_t>(word >> (24 - 8 * i));
}

uint32_t Word(const uint8_t* bytes) {
  uint32_t word = 0;
  for (uint32_t i = 0; i < 4; ++i) word = word << 8 | bytes[i];
  return word;
}

// The message schedule: the next word, in place of the one of 16 rounds before.
uint32_t NextWord(uint32_t* w, uint32_t round) {
  const uint32_t a = w[(round + 1) % 16], b = w[(round + 14) % 16];
  const uint32_t s0 = Rotate(a, 7) ^ Rotate(a, 18) ^ a >> 3;
  const uint32_t s1 = Rotate(b, 17) ^ Rotate(b, 19) ^ b >> 10;
  return w[round % 16] += s0 + w[(round + 9) % 16] + s1;
}

// HMAC's inner or outer key goes ahead of what is hashed.
void TakeKey(const uint8_t* key, uint32_t key_bytes, uint8_t pad, Sha256* hash) {
  uint8_t block[kBlockBytes];
  for (uint32_t i = 0; i < kBlockBytes; ++i) {
    block[i] = static_cast<uint8_t>((i < key_bytes ? key[i] : 0) ^ pad);
  }
  hash->Update(block, kBlockBytes);
}

}  // namespace

void Sha256::Begin() {
  // The same of the square roots of the first 8 primes.
  static const uint32_t kFirst[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(state_, kFirst, sizeof(state_));
  bytes_ = 0;
}

void Sha256::Update(const void* data, uint32_t bytes) {
  const uint8_t* from = static_cast<const uint8_t*>(data);
  while (bytes > 0) {
    const uint32_t at = bytes_ % kBlockBytes, room = kBlockBytes - at;
    const uint32_t taken = bytes < room ? bytes : room;
    memcpy(block_ + at, from, taken);
    from += taken;
    bytes -= taken;
    bytes_ += taken;
    if (taken == room) TakeBlock();
  }
}

void Sha256::Finish(uint8_t* digest) {
  const uint32_t bytes = bytes_;
  const uint8_t end = 0x80, zero = 0;
  Update(&end, 1);
  while (bytes_ % kBlockBytes != kBlockBytes - 8) Update(&zero, 1);
  uint8_t bits[8];
  PutWord(bytes >> 29, bits);
  PutWord(bytes << 3, bits + 4);
  Update(bits, sizeof(bits));
  for (uint32_t i = 0; i < 8; ++i) PutWord(state_[i], digest + 4 * i);
}

void Sha256::TakeBlock() {
  uint32_t w[16], s[8];
  for (uint32_t i = 0; i < 16; ++i) w[i] = Word(block_ + 4 * i);
  memcpy(s, state_, sizeof(s));
  for (uint32_t round = 0; round < kRounds; ++round) {
    const uint32_t word = round < 16 ? w[round] : NextWord(w, round);
    const uint32_t e = s[4], a = s[0];
    const uint32_t s1 = Rotate(e, 6) ^ Rotate(e, 11) ^ Rotate(e, 25);
    const uint32_t choice = (e & s[5]) ^ (~e & s[6]);
    const uint32_t first = s[7] + s1 + choice + kRoundConstants[round] + word;
    const uint32_t s0 = Rotate(a, 2) ^ Rotate(a, 13) ^ Rotate(a, 22);
    const uint32_t majority = (a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]);
    memmove(s + 1, s, 7 * sizeof(s[0]));
    s[4] += first;
    s[0] = first + s0 + majority;
  }
  for (uint32_t i = 0; i < 8; ++i) state_[i] += s[i];
}

void HmacSha256(const uint8_t* key, uint32_t key_bytes, const void* data, uint32_t bytes,
                uint8_t* tag) {
  Sha256 hash;
  uint8_t short_key[kSha256Bytes];
  if (key_bytes > kBlockBytes) {
    hash.Update(key, key_bytes);
    hash.Finish(short_key);
    hash.Begin();
    key = short_key;
    key_bytes = kSha256Bytes;
  }
  TakeKey(key, key_bytes, 0x36, &hash);
  hash.Update(data, bytes);
  hash.Finish(tag);
  hash.Begin();
  TakeKey(key, key_bytes, 0x5c, &hash);
  hash.Update(tag, kSha256Bytes);
  hash.Finish(tag);
}

bool IsSameTag(const uint8_t* a, const uint8_t* b) {
  uint8_t difference = 0;
  for (uint32_t i = 0; i < kSha256Bytes; ++i) difference |= a[i] ^ b[i];
  return difference == 0;
}

}  // namespace medyate
