// Which samples were drawn in one epoch, by how many ranks, how often: internal
// to this room.
#ifndef MUSTER_DAEMON_CONSISTENCY_EPOCH_ACCOUNT_H_
#define MUSTER_DAEMON_CONSISTENCY_EPOCH_ACCOUNT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "daemon/consistency/measures.h"

namespace muster::consistency {

// Keeps each pair of (sample, rank) with its number of draws. When there are
// more than `capacity`, only samples whose hash (mix64, a bijection: no two
// samples collide) is below a limit stay, and the limit is halved until they
// fit: a sample of distinct samples, taken without regard to how often they
// are drawn (bottom-k; Gibbons, "Distinct sampling for highly-accurate answers
// to distinct values queries", VLDB 2001). With m samples kept of a share f of
// all hashes, m ~ Binomial(D, f) for D distinct ones, so D ≈ m/f with standard
// error √(m(1 − f))/f; a share p of samples has √((1 − f)p(1 − p)/m); the
// repeats, a ratio of sums over samples, have that of a ratio estimator.
// Nothing depends on the order of Add(), but for the order marks. Thread-
// compatible.
class EpochAccount {
 public:
  // Draws of a rank that say whether an epoch was shuffled anew.
  static constexpr uint32_t kOrderDraws = 64;

  EpochAccount(uint64_t epoch, size_t capacity)
      : epoch_(epoch), capacity_(capacity) {}

  // `rank` draws `sample`.
  void Add(uint32_t rank, uint64_t sample);
  // Samples whose mix64 is `limit` or more have been left out, or will be.
  void LowerLimit(uint64_t limit);

  uint64_t epoch() const { return epoch_; }
  // kept, distinct, shares and errors; undrawn_share if `length` is given.
  SampleMeasures Figures(std::optional<uint64_t> length) const;
  // Absent for a rank that has drawn nothing. `before`: the epoch before this,
  // if it is known.
  std::optional<RankSamples> FiguresOf(uint32_t rank,
                                       const EpochAccount* before) const;

 private:
  struct Sample {
    uint32_t first_rank;
    uint32_t first_draws;  // by first_rank
    uint32_t ranks;        // that have drawn it
    uint32_t draws;        // by all
  };
  struct Rank {
    uint64_t distinct = 0;
    uint64_t shared = 0;
    uint64_t repeats = 0;
    uint64_t order_hash = 0;  // of its first kOrderDraws draws
    uint32_t order_draws = 0;
  };
  // Sums over samples of draws d and repeats r: exact below 2⁵³.
  struct Sums {
    double d = 0, r = 0, dd = 0, dr = 0, rr = 0;
    void Add(const Sample& sample, double sign);
  };

  void Tally(uint64_t hash, const Sample& sample);
  void Prune();

  const uint64_t epoch_;
  const size_t capacity_;
  // Hashes at or above it are left out; absent while all are kept.
  std::optional<uint64_t> limit_;
  absl::flat_hash_map<uint64_t, Sample> samples_;  // by hash
  // Draws of a sample by ranks other than its first: (hash, rank).
  absl::flat_hash_map<std::pair<uint64_t, uint32_t>, uint32_t> others_;
  std::vector<Rank> ranks_;  // by rank
  uint64_t shared_ = 0;      // samples that several ranks have drawn
  Sums sums_;
};

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_EPOCH_ACCOUNT_H_
