// Which ranks of a large run have series of their own.
#ifndef MUSTER_DAEMON_RUNS_SHOWN_RANKS_H_
#define MUSTER_DAEMON_RUNS_SHOWN_RANKS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/consistency/measures.h"

namespace muster::runs {

// Above this many ranks only the most deviant ones have series of their own,
// so that one large run cannot flood a Prometheus server.
inline constexpr uint32_t kMaxRanksWithSeries = 256;
inline constexpr size_t kDeviantRanks = 16;

// Chooses by how far a rank's loss, gradient norm and cosine are from the
// median of the ranks, in robust standard deviations, the largest of the three,
// averaged over some 32 frames; a rank that is shown makes room only for one
// that is half as deviant again. So noise does not change the choice, and a
// gross outlier is in it at once. It is made frame by frame and published in
// the snapshot: scrapes, however many, read it and change nothing.
//
// Thread-compatible; owned by the run, used by the thread that judges.
class ShownRanks {
 public:
  // A judged frame. Ranks that do not report where they did before are deviant.
  void Take(const consistency::Measures& frame);
  // The rank has left in good order: its absence is no news.
  void Leave(uint32_t rank);

  // Ascending, at most kDeviantRanks; empty while the newest frame's world is
  // small enough that all ranks are shown.
  const std::vector<uint32_t>& ranks() const { return ranks_; }

 private:
  struct State {
    double score = 0;     // average over frames
    uint32_t frames = 0;  // behind it, 0 for a rank that was never there
    bool shown = false;
  };
  void Choose();

  std::vector<State> states_;  // by rank; empty for a small world
  std::vector<uint32_t> ranks_;
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_SHOWN_RANKS_H_
