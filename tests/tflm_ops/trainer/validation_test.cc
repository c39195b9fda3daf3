// Held samples and names: the parts of the trainer that need no model.

#include "tflm_ops/trainer/validation.h"

#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tflm_ops/trainer/names.h"

namespace medyate {
namespace {

constexpr uint32_t kFloats = 3;

class Ring : public ::testing::Test {
 protected:
  // Memory for so many samples, and nothing past it may be written.
  void Init(uint32_t samples, uint32_t more_words) {
    const uint32_t words = samples * ValidationRing::EntryWords(kFloats, 1) + more_words;
    memory_.assign(words + 1, 0xa5a5a5a5u);
    ring_.Init(memory_.data(), words, kFloats, 1);
  }

  bool Add(uint32_t label) {
    const float value = static_cast<float>(label);
    const float sample[kFloats] = {value, value + 0.25f, value + 0.5f};
    return ring_.Add(sample, &label);
  }

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
      const float value = static_cast<float>(*held.label);
      EXPECT_EQ(held.sample[0], value);
      EXPECT_EQ(held.sample[2], value + 0.5f);
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
  Init(0, ValidationRing::EntryWords(kFloats, 1) - 1);
  EXPECT_EQ(ring_.capacity(), 0u);
  EXPECT_FALSE(Add(1));
  EXPECT_FALSE(ring_.IsWorse(0.0f));
  EXPECT_EQ(memory_.front(), 0xa5a5a5a5u);
  ring_.Init(nullptr, 0, kFloats, 1);
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

}  // namespace
}  // namespace medyate
