// The marks of a journal head, one by one.

#include "gtest/gtest.h"
#include "tests/tflm_ops/store/weight_store_world.h"

namespace medyate {
namespace {

constexpr uint32_t kMarks = kMarkWords * kSlots;  // Words of the marks of a kind.
constexpr uint32_t kNextWord = kPageFloats - kMarkWords * kNextSlots;
constexpr uint32_t kDoneWord = kNextWord - kMarks;  // The first of them.
constexpr uint32_t kCommitWord = kDoneWord - kMarks;

// Page 0 of a flash holds a head without images.
class HeadPageTest : public testing::Test {
 protected:
  HeadPageTest() : flash_(kPageBytes, 1, 1) { Write(); }

  void Write() {
    HeadHeader header = {};
    header.magic = kHeadMagic;
    header.version = kJournalVersion;
    header.sequence = 7;
    header.weight_pages = 3;
    header.journal_pages = 4;
    header.head_words = RecordsWord(header);
    std::vector<uint32_t> words(header.head_words, 0x12345678u);
    memcpy(words.data(), &header, sizeof(header));
    header.crc = HeadCrc(words.data(), header.head_words);
    memcpy(words.data(), &header, sizeof(header));
    ASSERT_TRUE(flash_.Erase(0));
    flash_.Program(0, words);
    head_ = HeadPage(&flash_, 0);
    ASSERT_TRUE(head_.Load());
  }

  // What a forger would do: the CRC is right.
  static void HeaderFitsItsCrc(std::vector<uint32_t>* words) {
    const uint32_t head_words = (*words)[offsetof(HeadHeader, head_words) / 4];
    (*words)[kHeaderWords - 1] = HeadCrc(words->data(), head_words);
  }

  FakeFlash flash_;
  HeadPage head_;
};

TEST_F(HeadPageTest, HasMarksOnceTheyAreWritten) {
  EXPECT_FALSE(head_.Committed());
  EXPECT_FALSE(head_.Done());
  EXPECT_TRUE(head_.AddCommit());
  EXPECT_TRUE(head_.Committed());
  EXPECT_FALSE(head_.Done());
  EXPECT_TRUE(head_.AddDone(2));
  EXPECT_TRUE(head_.Done());
}

TEST_F(HeadPageTest, ALaterCommitMarkOverrulesDoneMarks) {
  ASSERT_TRUE(head_.AddCommit());
  ASSERT_TRUE(head_.AddDone(2));
  ASSERT_TRUE(head_.AddCommit());
  EXPECT_FALSE(head_.Done());
  ASSERT_TRUE(head_.AddDone(2));
  EXPECT_TRUE(head_.Done());
}

// A done mark is torn without a trace, a commit mark is written, and then the done mark shows.
TEST_F(HeadPageTest, ALaterCommitMarkOverrulesADoneMarkThatShowsAfterIt) {
  ASSERT_TRUE(head_.AddCommit());
  ASSERT_TRUE(head_.AddDone(2));
  const uint32_t offset = 4 * (kDoneWord + 2 * kMarkWords);
  const std::vector<uint32_t> mark = flash_.Contents(offset, kMarkWords);
  Write();
  ASSERT_TRUE(head_.AddCommit());
  flash_.TearWordsAs(FakeFlash::Tear::kNothing);
  flash_.CutAt(0);
  ASSERT_FALSE(head_.AddDone(2));
  flash_.Restart();
  ASSERT_TRUE(head_.AddCommit());
  EXPECT_FALSE(head_.Done());
  flash_.Program(offset, mark);
  EXPECT_FALSE(head_.Done());
}

// The other way round: the done mark is made certain after a commit mark was torn without a trace.
TEST_F(HeadPageTest, ALaterDoneMarkOverrulesACommitMarkThatShowsAfterIt) {
  ASSERT_TRUE(head_.AddCommit());
  ASSERT_TRUE(head_.AddDone(2));
  const std::vector<uint32_t> mark = flash_.Contents(4 * kCommitWord, kMarkWords);
  flash_.TearWordsAs(FakeFlash::Tear::kNothing);
  flash_.CutAt(0);
  ASSERT_FALSE(head_.AddCommit());
  flash_.Restart();
  ASSERT_TRUE(head_.AddDone(2));
  flash_.Program(4 * (kCommitWord + 4 * kMarkWords), mark);
  EXPECT_TRUE(head_.Done());
}

// With all slots used, what is there has to do; nothing is written twice.
TEST_F(HeadPageTest, RunsOutOfSlotsGracefully) {
  for (uint32_t i = 0; i < 3 * kSlots; ++i) {
    EXPECT_TRUE(head_.AddCommit());
    EXPECT_TRUE(head_.Committed());
  }
  EXPECT_TRUE(head_.AddDone(2));
  EXPECT_TRUE(head_.Done());
  for (uint32_t i = 0; i < 3 * kSlots; ++i) EXPECT_TRUE(head_.AddDone(2));
  EXPECT_TRUE(head_.Done());
  EXPECT_EQ(flash_.most_writes(), 1);
}

// Even if the very last done mark is torn, it can be written.
TEST_F(HeadPageTest, FindsAPlaceForTheLastDoneMark) {
  for (uint32_t i = 0; i < kSlots; ++i) ASSERT_TRUE(head_.AddCommit());
  flash_.TearWordsAs(FakeFlash::Tear::kSome);
  for (uint32_t i = 0; i < 6; ++i) {
    flash_.CutAt(0);
    EXPECT_FALSE(head_.AddDone(2));
    flash_.Restart();
    EXPECT_FALSE(head_.Done());
  }
  EXPECT_TRUE(head_.AddDone(2));
  EXPECT_TRUE(head_.Done());
}

// However often and wherever it is cut, in the end no bit of the commit marks is left that could
// turn into one; until then either decision can still be made certain.
TEST_F(HeadPageTest, AKilledCommitNeverComesBack) {
  for (uint32_t luck = 0; luck < 2000; ++luck) {
    flash_.Reseed(luck);
    Write();
    flash_.CutAt(luck % 4);
    head_.AddCommit();
    for (uint32_t cut = 0; cut < luck % 4; ++cut) {
      flash_.Restart();
      flash_.CutAt((luck / 4 + 7 * cut) % (kMarks + 1));
      head_.KillCommit();
    }
    flash_.Restart();
    ASSERT_TRUE(head_.KillCommit());
    // The last slot never held a commit mark; zeros that are torn there cannot become one.
    ASSERT_TRUE(flash_.IsStable(4 * kCommitWord, kMarks - kMarkWords)) << luck;
    EXPECT_FALSE(head_.Committed());
  }
}

// A torn mark reads as itself or as none.
TEST_F(HeadPageTest, ATornMarkIsNeverAnother) {
  for (uint32_t luck = 0; luck < 2000; ++luck) {
    flash_.Reseed(luck);
    Write();
    flash_.CutAt(luck % 2);
    if (luck % 3 == 0) head_.AddCommit();
    if (luck % 3 == 1) head_.AddDone(2);
    const uint32_t noted = luck % 5;
    if (luck % 3 == 2) head_.AddNote(Note::kEraseWeights, noted);
    flash_.Restart();
    EXPECT_TRUE(!head_.Committed() || luck % 3 < 2);
    EXPECT_TRUE(!head_.Done() || luck % 3 == 1);
    EXPECT_FALSE(head_.IsSuperseded());
    for (uint32_t i = 0; i < head_.NoteSlots(); ++i) {
      uint32_t value = noted;
      EXPECT_FALSE(head_.ReadNote(Note::kEraseJournal, i, &value));
      head_.ReadNote(Note::kEraseWeights, i, &value);
      EXPECT_EQ(value, noted);
    }
  }
}

// The decisions of WeightStore alone, with cuts in almost every mark, so that three and more torn
// marks meet. Once a start has acted on a decision, no later one may read another.
TEST_F(HeadPageTest, ADecisionOnceActedOnStands) {
  enum {
    kOpen,      // Nothing was done yet: it may read as committed or not.
    kDead,      // It may be erased: never again committed.
    kReplaced,  // Weight pages may be half-written: committed and not done.
    kInPlace,   // All pages are in place: committed, done or not.
    kReleased,  // The images may be gone: committed and done.
    kStates
  } state;
  int acted[kStates] = {};
  for (uint32_t luck = 0; luck < 20000 && !HasFailure(); ++luck) {
    flash_.Restart();
    flash_.Reseed(luck);
    math::Random random(luck);
    const auto cut = [&] {
      if (random.Int(0, 3) > 0) flash_.CutAt(static_cast<uint64_t>(random.Int(0, 5)));
    };
    Write();
    state = kOpen;
    for (int start = 0; start < 7; ++start) {
      flash_.Restart();
      // The first start writes the images and commits; the others find what it left.
      const bool committed = head_.Committed(), done = committed && head_.Done();
      if (state != kOpen) {
        ASSERT_EQ(committed, state != kDead) << luck << " " << start;
      }
      if (state == kReplaced) {
        ASSERT_FALSE(done) << luck << " " << start;
      }
      if (state == kReleased) {
        ASSERT_TRUE(done) << luck << " " << start;
      }
      cut();
      if (start > 0 && !committed) {
        if (head_.KillCommit()) state = kDead;
      } else if (done) {
        if (head_.AddDone(1)) state = kReleased;
      } else if (head_.AddCommit()) {
        state = kReplaced;
        if (random.Int(0, 1) == 0) {
          state = kInPlace;
          if (head_.AddDone(2)) state = kReleased;
        }
      }
      ++acted[state];
    }
  }
  for (int n : acted) EXPECT_GT(n, 1000);
}

// A done mark is only ever written after a commit mark.
TEST_F(HeadPageTest, ADoneMarkProvesACommit) {
  ASSERT_TRUE(head_.AddCommit());
  ASSERT_TRUE(head_.AddDone(2));
  flash_.Program(4 * kCommitWord, std::vector<uint32_t>(kMarks, 0));
  EXPECT_TRUE(head_.Committed());
  EXPECT_TRUE(head_.Done());
}

// Any single bit of any mark may decay, of any number of marks that were written in vain, too.
TEST_F(HeadPageTest, ADecayedBitOfAMarkChangesNothing) {
  ASSERT_TRUE(head_.AddCommit());
  head_.AddNext();
  for (bool is_done : {false, true}) {
    if (is_done) {
      ASSERT_TRUE(head_.AddDone(2));
    }
    for (uint32_t bit = 32 * kCommitWord; bit < 32 * kPageFloats; ++bit) {
      flash_.FlipBits(bit / 32 * 4, 1u << (bit % 32));
      ASSERT_TRUE(head_.Committed()) << bit;
      ASSERT_EQ(head_.Done(), is_done) << bit;
      ASSERT_TRUE(head_.IsSuperseded()) << bit;
      flash_.FlipBits(bit / 32 * 4, 1u << (bit % 32));
    }
  }
}

TEST_F(HeadPageTest, SaysOnceThatThereIsALaterHead) {
  flash_.TearWordsAs(FakeFlash::Tear::kSome);
  for (uint64_t cut : {0u, 1u}) {
    flash_.CutAt(cut);
    head_.AddNext();
    flash_.Restart();
  }
  EXPECT_FALSE(head_.IsSuperseded());
  for (int i = 0; i < 5; ++i) head_.AddNext();
  EXPECT_TRUE(head_.IsSuperseded());
  EXPECT_EQ(flash_.written_twice(), 0);
  EXPECT_EQ(flash_.Contents(4 * (kPageFloats - kMarkWords), 1)[0], kErasedWord);
}

// A head with a flipped bit is refused, or mended if that is asked for: then all of it reads as it
// was. With two flipped bits it is not taken for one with a single one.
TEST_F(HeadPageTest, RefusesOrMendsADamagedHead) {
  const uint32_t words = head_.header().head_words;
  const std::vector<uint32_t> right = flash_.Contents(0, words);
  math::Random random(1);
  const auto flip = [this](uint32_t bit) { flash_.FlipBits(bit / 32 * 4, 1u << (bit % 32)); };
  for (uint32_t bit = 0; bit < 32 * words; ++bit) {
    flip(bit);
    HeadPage page(&flash_, 0);
    EXPECT_FALSE(page.Load()) << bit;
    ASSERT_TRUE(page.Load(true)) << bit;
    EXPECT_TRUE(page.is_mended());
    std::vector<uint32_t> read(words);
    ASSERT_TRUE(page.ReadWords(0, read.data(), words));
    EXPECT_EQ(read, right) << bit;
    EXPECT_EQ(memcmp(&page.header(), right.data(), sizeof(HeadHeader)), 0) << bit;
    for (int i = 0; i < 20; ++i) {
      const uint32_t other = static_cast<uint32_t>(random.Int(0, static_cast<int>(32 * words) - 1));
      if (other == bit) continue;
      flip(other);
      EXPECT_FALSE(page.Load(true)) << bit << " " << other;
      flip(other);
    }
    flip(bit);
  }
  EXPECT_TRUE(head_.Load(true));
  EXPECT_FALSE(head_.is_mended());
}

// A head whose CRC is right, but that names a page which its journal does not have.
TEST_F(HeadPageTest, WhatNoHeadCanSayIsNone) {
  std::vector<uint32_t> words = flash_.Contents(0, kPageFloats);
  words[offsetof(HeadHeader, previous_page) / 4] = 4;
  HeaderFitsItsCrc(&words);
  flash_.Program(0, words);
  EXPECT_FALSE(HeadPage(&flash_, 0).Load());
}

// Whatever the words of a page of weights are, it is neither a head nor has it a mark.
TEST_F(HeadPageTest, FiniteNumbersAreNoHead) {
  ASSERT_TRUE(head_.AddCommit());
  ASSERT_TRUE(head_.AddDone(2));
  head_.AddNext();
  const std::vector<uint32_t> right = flash_.Contents(0, kPageFloats);
  for (uint32_t bits = 0; bits < 256; ++bits) {
    // The nearest finite numbers: each exponent loses one of its bits.
    std::vector<uint32_t> words = right;
    for (uint32_t i = 0; i < kPageFloats; ++i) {
      const bool is_finite = (words[i] & 0x7f800000u) != 0x7f800000u;
      if (!is_finite) words[i] &= ~(1u << (23 + (bits + i * (bits / 8)) % 8));
    }
    HeaderFitsItsCrc(&words);
    flash_.Program(0, words);
    HeadPage page(&flash_, 0);
    EXPECT_FALSE(page.Load(true));
    EXPECT_FALSE(page.Committed());
    EXPECT_FALSE(page.IsSuperseded());
  }
}

}  // namespace
}  // namespace medyate
