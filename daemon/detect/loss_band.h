// Whether the run's mean loss looks normal to somebody who watches only it.
#ifndef MUSTER_DAEMON_DETECT_LOSS_BAND_H_
#define MUSTER_DAEMON_DETECT_LOSS_BAND_H_

#include <cstdint>
#include <deque>
#include <optional>

namespace muster::detect {

// The rule that people have: the mean loss alarms where it is outside m ± 2.5
// σ, with m and σ² the exponential averages, of memory 0.97 a frame, of the
// mean loss and of its squared deviation from m, both taken before the frame
// enters them. The first 32 losses, one memory of the average, are not judged.
//
// Assumption (null): the rule alarms in a judged frame with probability 0.015,
// whatever it did before. That is its rate for independent Gaussian losses: a
// little above the 1.24 % of a known m and σ (docs/detection.md, "Silent").
//
// Statistic: X alarms in n judged frames; silent unless
// P(Binomial(n, 0.015) ≥ X) < 1 %. One alarm in one frame is chance then, but a
// loss outside m ± 10 σ never is.
//
// Guarantee: under the null less than 1 % of single questions are answered
// "not silent".
//
// Thread-compatible. Take() is O(1), Silent() O(log frames + X). At most 4,096
// frames are kept, 40 bytes each.
class LossBand {
 public:
  // Takes in the mean loss of the frame of `step`, over all ranks: not finite
  // if one of them is not, which everybody sees, and which enters no average;
  // nullopt if no rank told one. If steps go back, frames before are forgotten;
  // the averages stay.
  void Take(uint64_t step, std::optional<double> mean_loss);

  // Whether the loss shows nothing in the frames from `first_step` to the
  // newest, the newest at least and 4,096 at most. Not silent where none of
  // them has a loss: what is not measured cannot look healthy.
  bool Silent(uint64_t first_step) const;

 private:
  // Of all frames up to and with this one.
  struct Counts {
    uint64_t step = 0;
    uint64_t losses = 0;
    uint64_t judged = 0;
    uint64_t outside = 0;
    uint64_t far_outside = 0;
  };

  uint64_t count_ = 0;
  double mean_ = 0;
  double variance_ = 0;
  std::deque<Counts> frames_;  // by ascending step, the newest last
  Counts before_;              // of all before frames_
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_LOSS_BAND_H_
