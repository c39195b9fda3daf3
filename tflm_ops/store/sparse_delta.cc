#include "tflm_ops/store/sparse_delta.h"

#include <stddef.h>
#include <string.h>

#include "tflm_ops/math/fp_exact.h"
#include "tflm_ops/math/scalar.h"
#include "tflm_ops/store/crc32.h"

namespace medyate {
namespace {

const uint32_t kLongestGap = 2;  // Offset and length of a run take as much.
const uint32_t kRunWords = 2;

uint32_t BitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}

float FloatOf(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

bool Differ(const float* a, const float* b, uint32_t i) { return BitsOf(a[i]) != BitsOf(b[i]); }

// Where the run that begins at `begin` ends.
uint32_t EndOfRun(const float* factory, const float* current, uint32_t begin, uint32_t weights) {
  uint32_t end = begin + 1;
  for (uint32_t i = end; i < weights && i <= end + kLongestGap; ++i) {
    if (Differ(factory, current, i)) end = i + 1;
  }
  return end;
}

// What is stored of one weight. Minus zero leaves every weight as it is when it is added.
float Stored(DeltaKind kind, float factory, float current) {
  if (kind == DeltaKind::kValues) return current;
  return BitsOf(factory) == BitsOf(current) ? -0.0f : current - factory;
}

DeltaHeader HeaderOf(const uint32_t* delta) {
  DeltaHeader header;
  memcpy(&header, delta, sizeof(header));
  return header;
}

uint32_t HeaderCrc(const DeltaHeader& header) {
  return Crc32(0, &header, offsetof(DeltaHeader, header_crc));
}

// Whether the runs rise, stay within the weights, and fill the payload.
DeltaStatus CheckRuns(const uint32_t* delta, uint32_t words, const DeltaHeader& header) {
  uint32_t at = kDeltaHeaderWords, free_from = 0, floats = 0;
  for (uint32_t run = 0; run < header.runs; ++run) {
    if (words - at < kRunWords) return DeltaStatus::kDamaged;
    const uint32_t offset = delta[at], length = delta[at + 1];
    at += kRunWords;
    if (offset < free_from || offset > header.weights || length > header.weights - offset ||
        length > words - at) {
      return DeltaStatus::kDamaged;
    }
    for (uint32_t i = 0; i < length; ++i) {
      if (!math::IsFinite(FloatOf(delta[at + i]))) return DeltaStatus::kNotFinite;
    }
    at += length;
    floats += length;
    free_from = offset + length;
  }
  return at == words && floats == header.floats ? DeltaStatus::kOk : DeltaStatus::kDamaged;
}

}  // namespace

const char* DeltaStatusName(DeltaStatus status) {
  static const char* const kNames[] = {"kOk",           "kDamaged",   "kBadVersion", "kOtherModel",
                                       "kNotMergeable", "kWrongBase", "kNotFinite"};
  static_assert(
      sizeof(kNames) / sizeof(kNames[0]) == static_cast<uint32_t>(DeltaStatus::kNotFinite) + 1,
      "every status has a name");
  const uint32_t i = static_cast<uint32_t>(status);
  return i < sizeof(kNames) / sizeof(kNames[0]) ? kNames[i] : "unknown";
}

uint32_t EncodeDelta(DeltaKind kind, const uint32_t* model_hash, const float* factory,
                     const float* current, uint32_t weights, uint32_t* out, uint32_t room) {
  DeltaHeader header = {};
  uint32_t words = kDeltaHeaderWords;
  // Twice: to count, and if all fits to write.
  for (int pass = 0; pass < 2; ++pass) {
    const bool writes = pass == 1;
    if (writes && words > room) return words;
    words = kDeltaHeaderWords;
    header.runs = header.floats = 0;
    for (uint32_t i = 0; i < weights; ++i) {
      if (!Differ(factory, current, i)) continue;
      const uint32_t end = EndOfRun(factory, current, i, weights), length = end - i;
      if (writes) {
        out[words] = i;
        out[words + 1] = length;
        for (uint32_t k = 0; k < length; ++k) {
          out[words + kRunWords + k] = BitsOf(Stored(kind, factory[i + k], current[i + k]));
        }
      }
      words += kRunWords + length;
      ++header.runs;
      header.floats += length;
      i = end;
    }
  }
  header.magic = kDeltaMagic;
  header.version = kDeltaVersion;
  header.kind = static_cast<uint32_t>(kind);
  header.model_hash[0] = model_hash[0];
  header.model_hash[1] = model_hash[1];
  header.weights = weights;
  header.factory_crc = Crc32(0, factory, sizeof(float) * weights);
  header.payload_crc = Crc32(0, out + kDeltaHeaderWords, 4 * (words - kDeltaHeaderWords));
  header.header_crc = HeaderCrc(header);
  memcpy(out, &header, sizeof(header));
  return words;
}

DeltaStatus CheckDelta(const uint32_t* delta, uint32_t words, const uint32_t* model_hash,
                       uint32_t weights, uint32_t base_crc, DeltaOwner owner) {
  if (words < kDeltaHeaderWords) return DeltaStatus::kDamaged;
  const DeltaHeader header = HeaderOf(delta);
  if (header.magic != kDeltaMagic) return DeltaStatus::kDamaged;
  if (header.version != kDeltaVersion) return DeltaStatus::kBadVersion;
  if (header.header_crc != HeaderCrc(header) ||
      header.kind > static_cast<uint32_t>(DeltaKind::kDifferences) ||
      header.payload_crc != Crc32(0, delta + kDeltaHeaderWords, 4 * (words - kDeltaHeaderWords))) {
    return DeltaStatus::kDamaged;
  }
  const bool is_ours =
      header.model_hash[0] == model_hash[0] && header.model_hash[1] == model_hash[1];
  if (header.weights != weights || (!is_ours && owner == DeltaOwner::kSameModel)) {
    return DeltaStatus::kOtherModel;
  }
  if (!is_ours && header.kind == static_cast<uint32_t>(DeltaKind::kValues)) {
    return DeltaStatus::kNotMergeable;
  }
  if (is_ours && header.factory_crc != base_crc) return DeltaStatus::kWrongBase;
  return CheckRuns(delta, words, header);
}

DeltaStatus ApplyDelta(const uint32_t* delta, uint32_t words, const uint32_t* model_hash,
                       DeltaOwner owner, uint32_t weights, float* base) {
  const uint32_t base_crc = Crc32(0, base, sizeof(float) * weights);
  const DeltaStatus status = CheckDelta(delta, words, model_hash, weights, base_crc, owner);
  if (status != DeltaStatus::kOk) return status;
  const bool adds = HeaderOf(delta).kind == static_cast<uint32_t>(DeltaKind::kDifferences);
  const DeltaRuns runs(delta);
  // Twice: a sum that overflows must not leave half of the delta behind.
  for (int pass = 0; pass < 2; ++pass) {
    for (uint32_t r = 0; r < runs.count(); ++r) {
      const WeightRun run = runs.run(r);
      for (uint32_t i = 0; i < run.length; ++i) {
        const float value = FloatOf(delta[run.pool_offset + i]);
        float* weight = base + run.weight_offset + i;
        const float result = adds ? *weight + value : value;
        if (!math::IsFinite(result)) return DeltaStatus::kNotFinite;
        if (pass == 1) *weight = result;
      }
    }
  }
  return DeltaStatus::kOk;
}

uint32_t DeltaRuns::count() const { return HeaderOf(delta_).runs; }

WeightRun DeltaRuns::run(uint32_t i) const {
  if (i < next_) {
    next_ = 0;
    at_ = kDeltaHeaderWords;
  }
  for (; next_ < i; ++next_) at_ += kRunWords + delta_[at_ + 1];
  return {at_ + kRunWords, delta_[at_], delta_[at_ + 1]};
}

}  // namespace medyate
