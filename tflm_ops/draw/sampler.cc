#include "tflm_ops/draw/sampler.h"

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"

namespace medyate {
namespace {

const uint64_t kMultiplier = 6364136223846793005u;
const uint32_t kMostCandidates = 65535;

// G of step 2; `_node_table` of sampling.py makes it.
const uint32_t kNodes[131] = {
    1546064310u, 1549082005u, 1552115458u, 1555164808u, 1558230198u, 1561311768u, 1564409666u,
    1567524036u, 1570655028u, 1573802791u, 1576967479u, 1580149245u, 1583348246u, 1586564640u,
    1589798587u, 1593050251u, 1596319795u, 1599607387u, 1602913196u, 1606237393u, 1609580151u,
    1612941648u, 1616322061u, 1619721570u, 1623140360u, 1626578617u, 1630036528u, 1633514285u,
    1637012080u, 1640530112u, 1644068578u, 1647627681u, 1651207626u, 1654808619u, 1658430872u,
    1662074599u, 1665740016u, 1669427342u, 1673136802u, 1676868621u, 1680623029u, 1684400259u,
    1688200548u, 1692024135u, 1695871263u, 1699742181u, 1703637139u, 1707556391u, 1711500197u,
    1715468818u, 1719462522u, 1723481578u, 1727526262u, 1731596853u, 1735693634u, 1739816893u,
    1743966923u, 1748144020u, 1752348487u, 1756580629u, 1760840759u, 1765129194u, 1769446254u,
    1773792267u, 1778167565u, 1782572486u, 1787007374u, 1791472577u, 1795968450u, 1800495356u,
    1805053659u, 1809643735u, 1814265962u, 1818920726u, 1823608422u, 1828329447u, 1833084209u,
    1837873122u, 1842696607u, 1847555092u, 1852449013u, 1857378815u, 1862344950u, 1867347877u,
    1872388065u, 1877465992u, 1882582144u, 1887737015u, 1892931110u, 1898164942u, 1903439035u,
    1908753923u, 1914110148u, 1919508264u, 1924948837u, 1930432441u, 1935959664u, 1941531105u,
    1947147372u, 1952809089u, 1958516890u, 1964271424u, 1970073350u, 1975923343u, 1981822092u,
    1987770298u, 1993768678u, 1999817964u, 2005918904u, 2012072261u, 2018278814u, 2024539359u,
    2030854710u, 2037225698u, 2043653173u, 2050138001u, 2056681072u, 2063283292u, 2069945588u,
    2076668910u, 2083454228u, 2090302535u, 2097214846u, 2104192202u, 2111235665u, 2118346325u,
    2125525298u, 2132773725u, 2140092775u, 2147483648u, 2154947570u,
};

const float kInfinity = __builtin_inff();

int LeadingZeros(uint32_t u) { return u == 0 ? 32 : __builtin_clz(u); }

// A loop over the candidates in flat order that knows each one's cost.
class Candidates {
 public:
  explicit Candidates(const SamplerInput& input) : input_(input) { SkipFinishedLayers(); }
  bool Done() const { return layer_ == input_.layer_count; }
  uint32_t index() const { return index_; }
  float Strength() const {
    const float importance =
        input_.weighting == Weighting::kUniform ? 1.0f : input_.importance[index_];
    return StrengthOf(input_.weighting, importance, input_.layers[layer_].channel_cost);
  }
  void Next() {
    ++index_;
    ++channel_;
    SkipFinishedLayers();
  }

 private:
  void SkipFinishedLayers() {
    while (layer_ < input_.layer_count && channel_ == input_.layers[layer_].channels) {
      ++layer_;
      channel_ = 0;
    }
  }

  const SamplerInput& input_;
  uint32_t index_ = 0;
  int layer_ = 0;
  uint32_t channel_ = 0;
};

uint32_t CostOf(const SamplerInput& input, uint32_t candidate) {
  int layer = 0;
  for (; candidate >= input.layers[layer].channels; ++layer) {
    candidate -= input.layers[layer].channels;
  }
  return input.layers[layer].channel_cost;
}

bool IsBefore(const float* keys, uint16_t a, uint16_t b) {
  return keys[a] < keys[b] || (keys[a] == keys[b] && a < b);
}

// Sinks order[root] to its place in the heap order[0 .. count - 1], last of all on top.
void Sink(const float* keys, uint16_t* order, uint32_t root, uint32_t count) {
  const uint16_t moved = order[root];
  for (uint32_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
    if (child + 1 < count && IsBefore(keys, order[child], order[child + 1])) ++child;
    if (!IsBefore(keys, moved, order[child])) break;
    order[root] = order[child];
    root = child;
  }
  order[root] = moved;
}

// Order of rising keys, ties by number. Heap sort: in place, and never slow.
void SortByKey(const float* keys, uint32_t count, uint16_t* order) {
  for (uint32_t j = 0; j < count; ++j) order[j] = static_cast<uint16_t>(j);
  for (uint32_t root = count / 2; root-- > 0;) Sink(keys, order, root, count);
  for (uint32_t end = count; end-- > 1;) {
    const uint16_t last = order[0];
    order[0] = order[end];
    order[end] = last;
    Sink(keys, order, 0, end);
  }
}

// Step 7. Adds to memory.chosen what fits into `room` and is not in yet; returns its cost.
uint32_t Fill(const SamplerInput& input, const SamplerMemory& memory, uint32_t count,
              uint32_t room) {
  uint32_t spent = 0;
  for (uint32_t k = 0; k < count; ++k) {
    const uint32_t j = memory.order[k];
    uint8_t* byte = &memory.chosen[j / 8];
    const uint8_t bit = static_cast<uint8_t>(1u << (j % 8));
    if (*byte & bit) continue;
    const uint32_t cost = CostOf(input, j);
    if (cost > room - spent) continue;
    *byte = static_cast<uint8_t>(*byte | bit);
    spent += cost;
  }
  return spent;
}

// Step 5: the keys of the draw.
void DrawKeys(const SamplerInput& input, float largest, float* keys) {
  Pcg32 random(MixedSeed(input.seed, input.draw), input.draw);
  for (Candidates c(input); !c.Done(); c.Next()) {
    const float variate = ExponentialVariate(random.Next());
    const float weight = WeightOf(input.sharpness, c.Strength(), largest);
    keys[c.index()] = weight > 0.0f ? variate / weight : kInfinity;
  }
}

}  // namespace

uint64_t MixedSeed(uint64_t seed, uint64_t draw) {
  uint64_t z = seed + (draw + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

Pcg32::Pcg32(uint64_t seed, uint64_t stream) : state_(0), increment_((stream << 1) | 1) {
  state_ = (increment_ + seed) * kMultiplier + increment_;
}

uint32_t Pcg32::Next() {
  const uint64_t old = state_;
  state_ = old * kMultiplier + increment_;
  const uint32_t word = static_cast<uint32_t>(((old >> 18) ^ old) >> 27);
  const uint32_t turn = static_cast<uint32_t>(old >> 59);
  return (word >> turn) | (word << ((32 - turn) & 31));
}

uint64_t ExponentialFixed(uint32_t u) {
  const int zeros = LeadingZeros(u);
  const int64_t t = (int64_t{1} << 33) - static_cast<int64_t>((2 * uint64_t{u} + 1) << zeros);
  const int i = static_cast<int>((t - 1) >> 25);
  const int64_t r = t - (static_cast<int64_t>(i) << 25);
  const int64_t p = kNodes[i], q = kNodes[i + 1], s = kNodes[i + 2], v = kNodes[i + 3];
  const int64_t bend = (r * ((int64_t{1} << 25) - r)) >> 25;
  const int64_t g = (q << 25) + r * (s - q) - ((bend * (v - s - q + p)) >> 2);
  const uint64_t term = static_cast<uint64_t>(t) * static_cast<uint64_t>(g >> 25);
  return (static_cast<uint64_t>(zeros) << 58) + (term >> 5);
}

float ExponentialVariate(uint32_t u) {
  return static_cast<float>(ExponentialFixed(u)) * (1.0f / 288230376151711744.0f);  // 2^-58.
}

uint32_t CandidateCount(const SamplerInput& input) {
  uint32_t count = 0;
  for (int layer = 0; layer < input.layer_count; ++layer) {
    const uint32_t channels = input.layers[layer].channels;
    count = channels > kMostCandidates ? kMostCandidates + 1 : count + channels;
    if (count > kMostCandidates) return kMostCandidates + 1;
  }
  return count;
}

float StrengthOf(Weighting weighting, float importance, uint32_t channel_cost) {
  if (weighting == Weighting::kUniform) return 1.0f;
  if (importance == 0.0f) return 0.0f;  // Minus zero too.
  if (weighting == Weighting::kNorm) return importance;
  return importance / static_cast<float>(channel_cost);
}

float WeightOf(Sharpness sharpness, float strength, float largest) {
  const float y = largest > 0.0f ? strength / largest : 1.0f;
  if (sharpness == Sharpness::kHalf) return math::Sqrt(y);
  if (sharpness == Sharpness::kOne) return y;
  return y * y;
}

Seen FillUnseen(float* importance, int candidates) {
  bool any = false;
  float largest = 0.0f;
  for (int c = 0; c < candidates; ++c) {
    const float value = importance[c];
    if (value == kUnseen) continue;
    if (!math::IsFinite(value) || value < 0.0f) return Seen::kBad;
    any = true;
    if (value > largest) largest = value;
  }
  if (!any) return Seen::kNone;
  for (int c = 0; c < candidates; ++c) {
    if (importance[c] == kUnseen) importance[c] = largest;
  }
  return Seen::kSome;
}

SamplerStatus SampleChannels(const SamplerInput& input, const SamplerMemory& memory,
                             uint32_t* used) {
  *used = 0;
  const uint32_t count = CandidateCount(input);
  if (count > kMostCandidates) return SamplerStatus::kTooManyCandidates;
  for (uint32_t byte = 0; byte < (count + 7) / 8; ++byte) memory.chosen[byte] = 0;
  float largest = 0.0f;
  for (Candidates c(input); !c.Done(); c.Next()) {
    const float strength = c.Strength();
    if (!(strength >= 0.0f) || !math::IsFinite(strength)) return SamplerStatus::kBadImportance;
    if (strength > largest) largest = strength;
    memory.keys[c.index()] = -strength;
  }
  // The strongest channels first, into their share of the room (none of it: nothing to sort).
  const uint64_t share = uint64_t{input.capacity} * input.core_q16;
  const uint32_t core_capacity = static_cast<uint32_t>((share + 32768u) >> 16);
  if (core_capacity > 0) {
    SortByKey(memory.keys, count, memory.order);
    *used = Fill(input, memory, count, core_capacity);
  }
  DrawKeys(input, largest, memory.keys);
  SortByKey(memory.keys, count, memory.order);
  *used += Fill(input, memory, count, input.capacity - *used);
  return SamplerStatus::kOk;
}

}  // namespace medyate
