// Held samples and names: the parts of the trainer that need no model.

#include "tflm_ops/trainer/validation.h"

#include <string.h>

#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tflm_ops/trainer/names.h"
#include "tflm_ops/trainer/sample.h"

namespace medyate {
namespace {

// Of a sample: no whole number of words.
constexpr uint32_t kBytes = 11;
constexpr uint32_t kWords = 3;

class Ring : public ::testing::Test {
 protected:
  // Memory for so many samples, and nothing past it may be written.
  void Init(uint32_t samples, uint32_t more_words) {
    const uint32_t words = samples * ValidationRing::EntryWords(kWords, 1) + more_words;
    memory_.assign(words + 1, 0xa5a5a5a5u);
    ring_.Init(memory_.data(), words, kBytes, 1);
  }

  static std::vector<uint8_t> SampleOf(uint32_t label) {
    return std::vector<uint8_t>(kBytes, static_cast<uint8_t>(label + 100));
  }

  bool Add(uint32_t label) { return ring_.Add(SampleOf(label).data(), &label); }

  void SetLosses(const std::vector<float>& losses, const std::vector<float>& new_losses) {
    for (uint32_t i = 0; i < ring_.count(); ++i) {
      *ring_.held(i).loss = losses[i];
      *ring_.held(i).new_loss = new_losses[i];
    }
  }

  ValidationRing ring_;
  std::vector<uint32_t> memory_;
};

TEST_F(Ring, TheNewestDriveOutTheOldest) {
  Init(3, 5);
  EXPECT_EQ(ring_.capacity(), 3u);
  for (uint32_t label = 0; label < 8; ++label) {
    ASSERT_TRUE(Add(label));
    EXPECT_EQ(*ring_.newest().label, label);
    EXPECT_EQ(ring_.count(), label < 3 ? label + 1 : 3u);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < ring_.count(); ++i) {
      const ValidationRing::Held held = ring_.held(i);
      EXPECT_EQ(memcmp(held.sample, SampleOf(*held.label).data(), kBytes), 0);
      EXPECT_EQ(*held.loss, ValidationRing::kNoLoss + 0.0f);
      sum += *held.label;
    }
    if (label >= 2) {
      EXPECT_EQ(sum, 3 * label - 3);
    }
  }
  EXPECT_EQ(memory_.back(), 0xa5a5a5a5u);
}

TEST_F(Ring, WithoutRoomForOneItTakesNone) {
  Init(0, ValidationRing::EntryWords(kWords, 1) - 1);
  EXPECT_EQ(ring_.capacity(), 0u);
  EXPECT_FALSE(Add(1));
  EXPECT_FALSE(ring_.IsWorse(0.0f));
  EXPECT_EQ(memory_.front(), 0xa5a5a5a5u);
  ring_.Init(nullptr, 0, kWords, 1);
  EXPECT_FALSE(Add(1));
}

TEST_F(Ring, JudgesByTheSamplesThatHaveALoss) {
  Init(3, 0);
  EXPECT_FALSE(ring_.IsWorse(0.0f));
  for (uint32_t label = 0; label < 3; ++label) Add(label);
  const float kNone = ValidationRing::kNoLoss, kInfinity = std::numeric_limits<float>::infinity();
  SetLosses({1, 2, 3}, {3, 2, 1});
  EXPECT_FALSE(ring_.IsWorse(0.0f)) << "the mean is what it was";
  SetLosses({1, 2, 3}, {3, 2, 1.125f});
  EXPECT_TRUE(ring_.IsWorse(0.0f));
  EXPECT_FALSE(ring_.IsWorse(0.125f)) << "by a 48th";
  EXPECT_TRUE(ring_.IsWorse(0.015625f)) << "a 64th";
  SetLosses({kNone, 2, kNone}, {99, 1, kInfinity});
  EXPECT_FALSE(ring_.IsWorse(0.0f));
  SetLosses({kNone, kNone, kNone}, {99, 99, 99});
  EXPECT_FALSE(ring_.IsWorse(0.0f));
  for (float bad : {kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    SetLosses({1, 2, 3}, {1, bad, 0});
    EXPECT_TRUE(ring_.IsWorse(1e30f));
  }
  SetLosses({0, 0, 0}, {0, 0, 0});
  EXPECT_FALSE(ring_.IsWorse(0.0f));
}

TEST_F(Ring, TakesNewLossesThatAreFinite) {
  Init(3, 0);
  for (uint32_t label = 0; label < 3; ++label) Add(label);
  SetLosses({1, -1, 3}, {5, 6, std::numeric_limits<float>::quiet_NaN()});
  ring_.TakeNewLosses();
  EXPECT_EQ(*ring_.held(0).loss, 5.0f);
  EXPECT_EQ(*ring_.held(1).loss, 6.0f);
  EXPECT_LT(*ring_.held(2).loss, 0.0f);
  ring_.ForgetLosses();
  EXPECT_LT(*ring_.held(0).loss, 0.0f);
}

TEST(Names, AreUtf8WithoutControlCharacters) {
  const std::string good[] = {"a",
                              "~ !",
                              "\xc2\xa0",
                              "\xe2\x80\xa7",
                              "\xe2\x80\xaf",
                              "\xe2\x81\xa5",
                              "\xe2\x81\xaa",
                              "\xdf\xbf",
                              "\xe0\xa0\x80",
                              "\xed\x9f\xbf",
                              "\xee\x80\x80",
                              "\xef\xbf\xbf",
                              "\xf0\x90\x80\x80",
                              "\xf4\x8f\xbf\xbf",
                              "z\xc3\xa9z"};
  const std::string bad[] = {std::string(1, '\0'),
                             "a\tb",
                             "a\n",
                             "\x1b[2J",
                             "\x1f",
                             "\x7f",
                             "\xc2\x80",
                             "\xc2\x9b",
                             "\xc2\x9f",
                             "\xe2\x80\xa8",
                             "\xe2\x80\xae",
                             "\xe2\x81\xa6",
                             "\xe2\x81\xa9",
                             "\x80",
                             "\xc1\xbf",
                             "\xc2",
                             "\xc2z",
                             "\xe0\x9f\xbf",
                             "\xed\xa0\x80",
                             "\xed\xbf\xbf",
                             "\xf0\x8f\xbf\xbf",
                             "\xf4\x90\x80\x80",
                             "\xf5\x80\x80\x80",
                             "\xf8\x88\x80\x80\x80",
                             "\xfe",
                             "\xff",
                             "\xe2\x82",
                             "a\xf0\x9f\x98"};
  for (const std::string& text : good) {
    EXPECT_TRUE(IsValidName(text.c_str(), static_cast<uint32_t>(text.size()))) << text;
  }
  for (const std::string& text : bad) {
    EXPECT_FALSE(IsValidName(text.c_str(), static_cast<uint32_t>(text.size()))) << text;
  }
  EXPECT_TRUE(IsValidName("", 0));
}

TEST(Names, NumbersAreWritten) {
  const int numbers[] = {0, 9, 10, 123, 2147483647};
  for (int number : numbers) {
    char out[8 + kNumberBytes];
    NumberedName("class/", number, out);
    EXPECT_EQ(out, "class/" + std::to_string(number));
  }
}

TEST(Names, ACopyIsCutWhereACharacterEnds) {
  char out[16] = "";
  const std::string name =
      "a\xe2\x82\xac"
      "b";  // One byte, three, one.
  const std::string wanted[] = {"", "a", "a", "a", "a\xe2\x82\xac", name, name};
  for (uint32_t room = 1; room <= 7; ++room) {
    CopyName(name.c_str(), out, room);
    EXPECT_EQ(out, wanted[room - 1]) << room;
  }
}

// --- samples in 8 bits

// A number is rescaled first, then rounded half away from zero and held within 8 bits.
TEST(SampleTest, NumbersAndBytesAreKeptAlike) {
  const SampleType type = {0.5f, -10.0f, 0.25f, 3};  // 2 * number - 40 + 3.
  const float numbers[] = {20.0f, 20.25f, 19.75f, 20.125f, 0.0f, 100.0f, -100.0f};
  const int8_t wanted[] = {3, 4, 2, 3, -37, 127, -128};
  int8_t stored[7];
  StoreSample(type, numbers, 7, stored);
  EXPECT_EQ(memcmp(stored, wanted, 7), 0);
  const uint8_t bytes[] = {20, 0, 100};
  StoreSample(type, bytes, 3, stored);
  EXPECT_EQ(stored[0], 3);
  EXPECT_EQ(stored[1], -37);
  EXPECT_EQ(stored[2], 127);
  EXPECT_EQ(Stored(type, 20.25f), 4);
}

TEST(SampleTest, BytesAreForModelsOfNumbersUpTo255) {
  EXPECT_TRUE(HoldsBytes({1.0f, 0.0f, 1.0f, -128}));
  EXPECT_TRUE(HoldsBytes({1.0f / 127.5f, -1.0f, 1.0f / 127.5f, 0}));
  EXPECT_TRUE(HoldsBytes({1.0f, 0.0f, 0.8f, -128})) << "calibrated with somewhat dark pictures";
  EXPECT_FALSE(HoldsBytes({1.0f, 0.0f, 1.0f / 127.5f, 0})) << "of numbers from -1 to 1";
  EXPECT_FALSE(HoldsBytes({1.0f, 0.0f, 1.0f / 255.0f, -128})) << "of numbers from 0 to 1";
}

}  // namespace
}  // namespace medyate
