// The marks of a journal head, one by one.

#include "gtest/gtest.h"
#include "tests/tflm_ops/weight_store_world.h"

namespace medyate {
namespace {

constexpr uint32_t kMarks = 2 * kSlots;               // Words of the marks of a kind.
constexpr uint32_t kDoneWord = kPageFloats - kMarks;  // The first of them.
constexpr uint32_t kCommitWord = kPageFloats - 2 * kMarks;

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
    std::vector<uint32_t> words(header.head_words);
    memcpy(words.data(), &header, sizeof(header));
    header.crc = HeadCrc(words.data(), header.head_words);
    memcpy(words.data(), &header, sizeof(header));
    ASSERT_TRUE(flash_.Erase(0));
    flash_.Program(0, words);
    head_ = HeadPage(&flash_, 0);
    ASSERT_TRUE(head_.Load());
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
  EXPECT_TRUE(head_.AddDone());
  EXPECT_TRUE(head_.Done());
}

TEST_F(HeadPageTest, ALaterCommitMarkOverrulesDoneMarks) {
  ASSERT_TRUE(head_.AddCommit());
  ASSERT_TRUE(head_.AddDone());
  ASSERT_TRUE(head_.AddCommit());
  EXPECT_FALSE(head_.Done());
  ASSERT_TRUE(head_.AddDone());
  EXPECT_TRUE(head_.Done());
}

// A done mark is torn without a trace, a commit mark is written, and then the done mark shows.
TEST_F(HeadPageTest, ALaterCommitMarkOverrulesADoneMarkThatShowsAfterIt) {
  ASSERT_TRUE(head_.AddCommit());
  ASSERT_TRUE(head_.AddDone());
  const uint32_t offset = 4 * (kDoneWord + kMarkWords);
  const std::vector<uint32_t> mark = flash_.Contents(offset, kMarkWords);
  Write();
  ASSERT_TRUE(head_.AddCommit());
  flash_.TearWordsAs(FakeFlash::Tear::kNothing);
  flash_.CutAt(0);
  ASSERT_FALSE(head_.AddDone());
  flash_.Restart();
  ASSERT_TRUE(head_.AddCommit());
  EXPECT_FALSE(head_.Done());
  flash_.Program(offset, mark);
  EXPECT_FALSE(head_.Done());
}

// The other way round: the done mark is made certain after a commit mark was torn without a trace.
TEST_F(HeadPageTest, ALaterDoneMarkOverrulesACommitMarkThatShowsAfterIt) {
  ASSERT_TRUE(head_.AddCommit());
  ASSERT_TRUE(head_.AddDone());
  const std::vector<uint32_t> mark = flash_.Contents(4 * kCommitWord, kMarkWords);
  flash_.TearWordsAs(FakeFlash::Tear::kNothing);
  flash_.CutAt(0);
  ASSERT_FALSE(head_.AddCommit());
  flash_.Restart();
  ASSERT_TRUE(head_.AddDone());
  flash_.Program(4 * (kCommitWord + 2 * kMarkWords), mark);
  EXPECT_TRUE(head_.Done());
}

// With all slots used, what is there has to do; nothing is written twice.
TEST_F(HeadPageTest, RunsOutOfSlotsGracefully) {
  for (uint32_t i = 0; i < 3 * kSlots; ++i) {
    EXPECT_TRUE(head_.AddCommit());
    EXPECT_TRUE(head_.Committed());
  }
  EXPECT_TRUE(head_.AddDone());
  EXPECT_TRUE(head_.Done());
  for (uint32_t i = 0; i < 3 * kSlots; ++i) EXPECT_TRUE(head_.AddDone());
  EXPECT_TRUE(head_.Done());
  EXPECT_EQ(flash_.most_writes(), 1);
}

// Even if the very last done mark is torn, it can be written.
TEST_F(HeadPageTest, FindsAPlaceForTheLastDoneMark) {
  for (uint32_t i = 0; i < kSlots; ++i) ASSERT_TRUE(head_.AddCommit());
  flash_.TearWordsAs(FakeFlash::Tear::kSome);
  for (uint32_t i = 0; i < 6; ++i) {
    flash_.CutAt(0);
    EXPECT_FALSE(head_.AddDone());
    flash_.Restart();
    EXPECT_FALSE(head_.Done());
  }
  EXPECT_TRUE(head_.AddDone());
  EXPECT_TRUE(head_.Done());
}

// However often and wherever it is cut, in the end no bit of the commit marks is left that could
// turn into one; until then either decision can still be made certain.
TEST_F(HeadPageTest, AKilledCommitNeverComesBack) {
  for (uint32_t luck = 0; luck < 2000; ++luck) {
    flash_.Reseed(luck);
    Write();
    flash_.CutAt(luck % 2);
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
    if (luck % 3 == 1) head_.AddDone();
    const uint32_t noted = luck % 5;
    if (luck % 3 == 2) head_.AddNote(Note::kEraseWeights, noted);
    flash_.Restart();
    EXPECT_TRUE(!head_.Committed() || luck % 3 == 0);
    EXPECT_FALSE(head_.Done());
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
      if (random.Int(0, 3) > 0) flash_.CutAt(static_cast<uint64_t>(random.Int(0, 4)));
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
        if (head_.AddDone()) state = kReleased;
      } else if (head_.AddCommit()) {
        state = kReplaced;
        if (random.Int(0, 1) == 0) {
          state = kInPlace;
          if (head_.AddDone()) state = kReleased;
        }
      }
      ++acted[state];
    }
  }
  for (int n : acted) EXPECT_GT(n, 1000);
}

TEST_F(HeadPageTest, RefusesADamagedHead) {
  const uint32_t words = head_.header().head_words;
  for (uint32_t bit = 0; bit < 32 * words; ++bit) {
    flash_.FlipBits(bit / 32 * 4, 1u << (bit % 32));
    EXPECT_FALSE(HeadPage(&flash_, 0).Load()) << bit;
    flash_.FlipBits(bit / 32 * 4, 1u << (bit % 32));
  }
  EXPECT_TRUE(head_.Load());
}

// The images of a ring go round, spare one page, and never meet head or one another.
TEST(ImagePageTest, IsTheRingWithoutHeadAndSparedPage) {
  for (uint32_t pages = 3; pages < 12; ++pages) {
    for (uint32_t head = 0; head < pages; ++head) {
      for (uint32_t spared = 0; spared < pages; ++spared) {
        const uint32_t images = pages - (spared == head ? 1 : 2);
        uint32_t expected = head;
        for (uint32_t i = 0; i < images; ++i) {
          do {
            expected = (expected + 1) % pages;
          } while (expected == spared);
          EXPECT_EQ(ImagePage(head, spared, i, pages), expected);
        }
      }
    }
  }
}

}  // namespace
}  // namespace medyate
