#ifndef TFLM_OPS_STORE_SPARSE_DELTA_H_
#define TFLM_OPS_STORE_SPARSE_DELTA_H_

// What a device has learned, as a list of runs of changed weights: for the host, for another device
// with the same model, for the time of a model update. Little-endian words:
//
//   DeltaHeader, then for each run, rising: offset, length (in floats), the floats
//
// Two kinds. kValues holds the learned weights: exact, and meaningful on the same model only.
// kDifferences holds learned minus factory weights, which can be merged, or added to a later model
// with the same layout if that is asked for; adding them rounds once more, so on the same model a
// weight may come back different in its last bit.

#include <stdint.h>

#include "tflm_ops/store/weight_runs.h"

namespace medyate {

constexpr uint32_t kDeltaMagic = 0x544c444du;  // "MDLT".
constexpr uint32_t kDeltaVersion = 1;

enum class DeltaKind : uint32_t { kValues = 0, kDifferences = 1 };

struct DeltaHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t kind;           // A DeltaKind.
  uint32_t model_hash[2];  // Low half first.
  uint32_t weights;        // Floats in the weights region.
  uint32_t factory_crc;    // CRC-32 of the weights that the delta starts from.
  uint32_t runs;
  uint32_t floats;       // In all runs together.
  uint32_t payload_crc;  // Of the words after the header.
  uint32_t reserved;     // 0.
  uint32_t header_crc;   // Of the words before this one.
};

constexpr uint32_t kDeltaHeaderWords = sizeof(DeltaHeader) / 4;
static_assert(sizeof(DeltaHeader) == 48, "DeltaHeader");

enum class DeltaStatus : uint8_t {
  kOk,
  kDamaged,       // Not a delta, cut short, or a CRC is wrong.
  kBadVersion,    // Made by another version of this format.
  kOtherModel,    // Model hash or number of weights differ.
  kNotMergeable,  // kValues of another model.
  kWrongBase,     // The weights to change are not those that the delta starts from.
  kNotFinite,     // It holds infinity or NaN.
};

const char* DeltaStatusName(DeltaStatus status);

// Whose delta is welcome.
enum class DeltaOwner : uint8_t {
  kSameModel,
  kAnyModel,  // Differences of another model with as many weights, too.
};

// Writes the weights that differ, bit for bit, between two states. Up to two equal weights between
// different ones are carried along: cheaper than a new run.
//
// Args:
//   factory, current: [weights].
//   out: [room] words; only written if all fits.
//
// Returns:
//   Words of the delta.
uint32_t EncodeDelta(DeltaKind kind, const uint32_t* model_hash, const float* factory,
                     const float* current, uint32_t weights, uint32_t* out, uint32_t room);

// Checks everything that can be checked before the first weight is changed.
//
// Args:
//   delta: [words], any contents.
//   base_crc: CRC-32 of the weights to be changed; not compared for another model.
DeltaStatus CheckDelta(const uint32_t* delta, uint32_t words, const uint32_t* model_hash,
                       uint32_t weights, uint32_t base_crc, DeltaOwner owner);

// Checks a delta and applies it to weights in RAM. Nothing has changed unless kOk is returned.
//
// Args:
//   base: [weights], the factory state; overwritten with the learned one.
DeltaStatus ApplyDelta(const uint32_t* delta, uint32_t words, const uint32_t* model_hash,
                       DeltaOwner owner, uint32_t weights, float* base);

// The runs of a checked delta of values, for WeightStore::Commit with the delta itself as pool.
class DeltaRuns final : public RunList {
 public:
  explicit DeltaRuns(const uint32_t* delta) : delta_(delta) {}
  uint32_t count() const override;
  WeightRun run(uint32_t i) const override;

 private:
  const uint32_t* delta_;
  // Where run `next_` begins: runs are mostly asked for in order.
  mutable uint32_t next_ = 0;
  mutable uint32_t at_ = kDeltaHeaderWords;
};

}  // namespace medyate

#endif  // TFLM_OPS_STORE_SPARSE_DELTA_H_
