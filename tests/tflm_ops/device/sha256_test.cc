// SHA-256 and HMAC against the vectors of FIPS 180-4 and RFC 4231, and against Python's hashlib.

#include "tflm_ops/device/sha256.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace medyate {
namespace {

typedef std::vector<uint8_t> Bytes;

Bytes BytesOf(const std::string& text) { return Bytes(text.begin(), text.end()); }

// Byte i is first + step * i.
Bytes Series(uint32_t count, uint32_t first, uint32_t step) {
  Bytes bytes(count);
  for (uint32_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(first + step * i);
  return bytes;
}

std::string Hex(const Bytes& bytes) {
  std::string text;
  for (uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// Args:
//   part: of the message, in bytes, that is taken at a time.
Bytes Digest(const Bytes& message, size_t part = 1000000) {
  Sha256 hash;
  for (size_t at = 0; at < message.size(); at += part) {
    hash.Update(message.data() + at, static_cast<uint32_t>(std::min(part, message.size() - at)));
  }
  Bytes digest(kSha256Bytes);
  hash.Finish(digest.data());
  return digest;
}

Bytes Tag(const Bytes& key, const Bytes& message) {
  Bytes tag(kSha256Bytes);
  HmacSha256(key.data(), static_cast<uint32_t>(key.size()), message.data(),
             static_cast<uint32_t>(message.size()), tag.data());
  return tag;
}

TEST(Sha256Test, VectorsOfFips180) {
  EXPECT_EQ(Hex(Digest(BytesOf(""))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(Digest(BytesOf("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Digest(BytesOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Hex(Digest(BytesOf("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                               "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"))),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  EXPECT_EQ(Hex(Digest(Bytes(1000000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Of hashlib: the digests of 300 messages, one after the other, hashed.
TEST(Sha256Test, AnyLengthInAnyPartsIsHashlibs) {
  for (size_t part : {1, 3, 63, 64, 65, 1000}) {
    Bytes all;
    for (uint32_t n = 0; n < 300; ++n) {
      const Bytes digest = Digest(Series(n, n, 7), part);
      all.insert(all.end(), digest.begin(), digest.end());
    }
    EXPECT_EQ(Hex(Digest(all)), "d5238871a46ac4a1a75ac3fb19d645b0b3b9e5f35f5f720e2b240d605c6b694e")
        << part;
  }
}

TEST(HmacSha256Test, VectorsOfRfc4231) {
  EXPECT_EQ(Hex(Tag(Bytes(20, 0x0b), BytesOf("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hex(Tag(BytesOf("Jefe"), BytesOf("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(Hex(Tag(Bytes(20, 0xaa), Bytes(50, 0xdd))),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  EXPECT_EQ(Hex(Tag(Series(25, 1, 1), Bytes(50, 0xcd))),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
  EXPECT_EQ(Hex(Tag(Bytes(20, 0x0c), BytesOf("Test With Truncation"))),
            "a3b6167473100ee06e0c796c2955552bfa6f7c0a6a8aef8b93f860aab0cd20c5");
  EXPECT_EQ(
      Hex(Tag(Bytes(131, 0xaa), BytesOf("Test Using Larger Than Block-Size Key - Hash Key First"))),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(
      Hex(Tag(
          Bytes(131, 0xaa),
          BytesOf("This is a test using a larger than block-size key and a larger than block-size "
                  "data. The key needs to be hashed before being used by the HMAC algorithm."))),
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST(HmacSha256Test, AnyKeyIsPythons) {
  Bytes all;
  for (uint32_t n = 0; n < 150; ++n) {
    const Bytes tag = Tag(Series(n, n, 3), Series(2 * n, n, 7));
    all.insert(all.end(), tag.begin(), tag.end());
  }
  EXPECT_EQ(Hex(Digest(all)), "bcdf49bb25132451e4ad238491f3f12f3e17608f45ac384d9151c886e75be608");
}

TEST(TagTest, EveryBitCounts) {
  const Bytes tag = Digest({});
  EXPECT_TRUE(IsSameTag(tag.data(), Bytes(tag).data()));
  for (uint32_t bit = 0; bit < 8 * kSha256Bytes; ++bit) {
    Bytes other = tag;
    other[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_FALSE(IsSameTag(tag.data(), other.data())) << bit;
  }
}

}  // namespace
}  // namespace medyate
