// A sequential test of a median: does this quantity stay above a bound more
// often than not?
#ifndef MUSTER_DAEMON_DETECT_SIGN_TEST_H_
#define MUSTER_DAEMON_DETECT_SIGN_TEST_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace muster::detect {

// Assumption (null): given the past, the value is above the bound with a
// probability of at most one half, whatever its distribution.
//
// Statistic: bets e_λ = 1 + λ where it is above, 1 − λ where it is not, whose
// mean is at most 1; W_λ ← e_λ (1 + W_λ) from 0 (Shiryaev–Roberts), averaged
// over λ ∈ {0.25, 0.5, 0.75, 0.95}. One frame multiplies W by 1.95 at most, so
// that a single spike is one vote like any other.
//
// Guarantee: that of RankOrderStream (rank_order_test.h): an alarm at level T·S
// by any of S streams has a mean time to a false alarm of at least T frames.
//
// Thread-compatible. O(1).
class SignTest {
 public:
  void Add(bool above, uint64_t step);
  void Restart() { *this = SignTest(); }
  double statistic() const;
  // Where this stretch of votes above began: the last restart of Page's
  // cumulative sum with the mean of the bets. Meaningful where statistic() is
  // large.
  uint64_t onset_step() const { return onset_step_; }
  uint64_t onset_votes() const { return onset_votes_; }

 private:
  static constexpr std::array<double, 4> kStakes = {0.25, 0.5, 0.75, 0.95};

  std::array<double, kStakes.size()> evidence_{};
  double page_ = 0;
  uint64_t onset_step_ = 0;
  uint64_t onset_votes_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_SIGN_TEST_H_
