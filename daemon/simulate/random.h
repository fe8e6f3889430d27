// Seeded random numbers whose sequence is part of this room's contract:
// standard distributions differ between libraries.
#ifndef MUSTER_DAEMON_SIMULATE_RANDOM_H_
#define MUSTER_DAEMON_SIMULATE_RANDOM_H_

#include <cstdint>

namespace muster::simulate {

// SplitMix64 (Steele, Lea and Flood 2014) with what simulations draw from it.
// Thread-compatible.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Bits();
  // In (0, 1].
  double Uniform() { return (static_cast<double>(Bits() >> 11) + 1) * 0x1p-53; }
  // 0 … count − 1, count ≥ 1; the bias of at most count/2⁶⁴ does not matter.
  uint64_t Below(uint64_t count) { return Bits() % count; }
  // Mean 0, variance 1 (Marsaglia's polar method).
  double Gaussian();
  // Student's t with 3 degrees of freedom, scaled so that its quartiles are
  // those of Gaussian() (0.6745 instead of 0.7649).
  double StudentT3();

 private:
  uint64_t state_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace muster::simulate

#endif  // MUSTER_DAEMON_SIMULATE_RANDOM_H_
