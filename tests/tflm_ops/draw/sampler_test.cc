#include "tflm_ops/draw/sampler.h"

#include <string.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/tflm_ops/support/json.h"
#include "tflm_ops/draw/importance.h"

namespace medyate {
namespace {

uint32_t BitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}

float FromBits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

const Json& Golden() {
  static const Json golden = Json::FromFile("tests/golden/sampler.json");
  return golden;
}

TEST(Pcg32Test, EqualsGolden) {
  ASSERT_FALSE(Golden()["pcg32"].items().empty());
  for (const Json& stream : Golden()["pcg32"].items()) {
    Pcg32 random(stream["seed"].whole(), stream["stream"].whole());
    for (uint32_t word : stream["words"].words()) ASSERT_EQ(random.Next(), word);
  }
}

TEST(ExponentialTest, EqualsGolden) {
  const Json& golden = Golden()["exponential"];
  const auto words = golden["words"].words();
  const auto variates = golden["variate_bits"].words();
  ASSERT_FALSE(words.empty());
  for (size_t i = 0; i < words.size(); ++i) {
    EXPECT_EQ(ExponentialFixed(words[i]), golden["e58"].items()[i].whole()) << words[i];
    EXPECT_EQ(BitsOf(ExponentialVariate(words[i])), variates[i]) << words[i];
  }
}

// A draw of the golden file as SampleChannels takes it, with guarded memory.
struct Draw {
  explicit Draw(const Json& json) {
    const std::map<std::string, Weighting> weightings = {
        {"norm", Weighting::kNorm}, {"rgn", Weighting::kRgn}, {"uniform", Weighting::kUniform}};
    const std::map<double, Sharpness> sharpnesses = {
        {0.5, Sharpness::kHalf}, {1, Sharpness::kOne}, {2, Sharpness::kTwo}};
    const auto channels = json["channels"].words();
    const auto costs = json["channel_costs"].words();
    for (size_t i = 0; i < channels.size(); ++i) {
      layers.push_back({channels[i], costs[i]});
      flat_costs.insert(flat_costs.end(), channels[i], costs[i]);
    }
    for (uint32_t bits : json["importance_bits"].words()) importance.push_back(FromBits(bits));
    input = {layers.data(),
             static_cast<int>(layers.size()),
             importance.data(),
             static_cast<uint32_t>(json["capacity"].whole()),
             json["seed"].whole(),
             json["draw"].whole(),
             weightings.at(json["weighting"].text()),
             sharpnesses.at(json["sharpness"].number()),
             static_cast<uint32_t>(json["core_q16"].whole())};
    keys.resize(flat_costs.size());
    order.resize(flat_costs.size());
    chosen.resize((flat_costs.size() + 7) / 8, 0xFF);
  }

  SamplerStatus Run() {
    return SampleChannels(input, {keys.data(), order.data(), chosen.data()}, &used);
  }

  std::vector<uint32_t> Chosen() const {
    std::vector<uint32_t> numbers;
    for (uint32_t j = 0; j < 8 * chosen.size(); ++j) {
      if (chosen[j / 8] >> (j % 8) & 1) numbers.push_back(j);
    }
    return numbers;
  }

  std::vector<CandidateLayer> layers;
  std::vector<uint32_t> flat_costs;
  std::vector<float> importance;
  SamplerInput input;
  std::vector<float> keys;
  std::vector<uint16_t> order;
  std::vector<uint8_t> chosen;
  uint32_t used = 0;
};

TEST(SamplerTest, DrawsEqualGoldenInEveryStep) {
  ASSERT_FALSE(Golden()["draws"].items().empty());
  for (const Json& json : Golden()["draws"].items()) {
    SCOPED_TRACE(json["name"].text());
    Draw draw(json);
    const auto strengths = json["strength_bits"].words();
    const auto weights = json["weight_bits"].words();
    float largest = 0.0f;
    for (size_t j = 0; j < strengths.size(); ++j) {
      const float strength =
          StrengthOf(draw.input.weighting, draw.importance[j], draw.flat_costs[j]);
      EXPECT_EQ(BitsOf(strength), strengths[j]) << j;
      largest = std::max(largest, strength);
    }
    for (size_t j = 0; j < weights.size(); ++j) {
      const float weight = WeightOf(draw.input.sharpness, FromBits(strengths[j]), largest);
      EXPECT_EQ(BitsOf(weight), weights[j]) << j;
    }
    ASSERT_EQ(draw.Run(), SamplerStatus::kOk);
    const auto keys = json["key_bits"].words();
    const auto order = json["order"].words();
    for (size_t j = 0; j < keys.size(); ++j) EXPECT_EQ(BitsOf(draw.keys[j]), keys[j]) << j;
    EXPECT_EQ(std::vector<uint32_t>(draw.order.begin(), draw.order.end()), order);
    EXPECT_EQ(draw.Chosen(), json["chosen"].words());
    uint32_t used = 0;
    for (uint32_t j : draw.Chosen()) used += draw.flat_costs[j];
    EXPECT_EQ(draw.used, used);
    EXPECT_LE(draw.used, draw.input.capacity);
  }
}

TEST(SamplerTest, FirstDrawsEqualGolden) {
  ASSERT_FALSE(Golden()["first_draws"].items().empty());
  for (const Json& json : Golden()["first_draws"].items()) {
    SCOPED_TRACE(json["name"].text());
    Draw draw(json);
    if (FillUnseen(draw.importance.data(), draw.importance.size()) == Seen::kNone) {
      draw.input.weighting = Weighting::kUniform;
      draw.input.core_q16 = 0;
    }
    const auto filled = json["filled_bits"].words();
    for (size_t j = 0; j < filled.size(); ++j) {
      EXPECT_EQ(BitsOf(draw.importance[j]), filled[j]) << j;
    }
    ASSERT_EQ(draw.Run(), SamplerStatus::kOk);
    EXPECT_EQ(std::vector<uint32_t>(draw.order.begin(), draw.order.end()), json["order"].words());
    EXPECT_EQ(draw.Chosen(), json["chosen"].words());
  }
}

TEST(SamplerTest, ImportancesAreRefreshedAsInGolden) {
  int compared = 0;
  for (const Json& json : Golden()["refresh"].items()) {
    if (json["kind"].text() == "last") continue;  // Only hosts have it.
    const bool is_mean = json["kind"].text() == "mean";
    const auto norms = json["norm_bits"].words();
    const auto expected = json["importance_bits"].words();
    float importance = FromBits(static_cast<uint32_t>(json["before_bits"].whole()));
    for (size_t t = 0; t < norms.size(); ++t, ++compared) {
      const int32_t steps = is_mean ? static_cast<int32_t>(t) + 1 : kNoSteps;
      Refresh(FromBits(norms[t]), steps, RefreshRate(steps), &importance);
      EXPECT_EQ(BitsOf(importance), expected[t]) << json["kind"].text() << t;
    }
  }
  EXPECT_EQ(compared, 36);
}

TEST(SamplerTest, RefusesToFillBesideBadImportances) {
  for (float bad :
       {-0.5f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    float importance[] = {1.0f, kUnseen, bad};
    EXPECT_EQ(FillUnseen(importance, 3), Seen::kBad);
    EXPECT_EQ(importance[1], kUnseen);
  }
}

TEST(SamplerTest, RefusesBadImportances) {
  for (float bad :
       {-1.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Draw draw(Golden()["draws"].items()[0]);
    draw.importance[17] = bad;
    EXPECT_EQ(draw.Run(), SamplerStatus::kBadImportance);
    EXPECT_TRUE(draw.Chosen().empty());
    EXPECT_EQ(draw.used, 0u);
  }
}

TEST(SamplerTest, RefusesTooManyCandidates) {
  Draw draw(Golden()["draws"].items()[0]);
  for (uint32_t channels : {65536u, 0xFFFFFFFFu, 65535u - 10u}) {
    draw.layers[1].channels = channels;
    EXPECT_EQ(draw.Run(), SamplerStatus::kTooManyCandidates);
  }
}

TEST(SamplerTest, BearsEmptyLayersAndNoCandidates) {
  Draw draw(Golden()["draws"].items()[0]);
  draw.layers = {{0, 5}, {2, 7}, {0, 5}, {1, 9}, {0, 1}};
  draw.input.layers = draw.layers.data();
  draw.input.layer_count = 5;
  draw.input.capacity = 23;
  draw.chosen.assign(1, 0xFF);
  EXPECT_EQ(draw.Run(), SamplerStatus::kOk);
  EXPECT_EQ(draw.Chosen(), (std::vector<uint32_t>{0, 1, 2}));
  draw.input.layer_count = 0;
  EXPECT_EQ(draw.Run(), SamplerStatus::kOk);
  EXPECT_EQ(draw.used, 0u);
}

}  // namespace
}  // namespace medyate
