// Whether the run's mean loss looks normal to somebody who watches only it.
#ifndef MUSTER_DAEMON_DETECT_LOSS_BAND_H_
#define MUSTER_DAEMON_DETECT_LOSS_BAND_H_

#include <cstdint>
#include <optional>

namespace muster::detect {

// The band is m ± 2.5 σ with m and σ² the exponential averages, of memory 0.97
// a frame, of the mean loss and of its squared deviation from m, both taken
// before the frame enters them. An alert raised while the loss is inside is one
// that nobody else sees. Thread-compatible.
class LossBand {
 public:
  // Judges the frame's mean loss and takes it in. The first 32 losses, one
  // memory of the average, count as inside. A loss that is absent or not finite
  // is not inside and is not taken in.
  bool Inside(std::optional<double> mean_loss);

 private:
  uint64_t count_ = 0;
  double mean_ = 0;
  double variance_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_LOSS_BAND_H_
