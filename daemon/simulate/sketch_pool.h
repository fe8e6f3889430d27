// Sketches drawn once and dealt out anew at each step: internal to this room.
#ifndef MUSTER_DAEMON_SIMULATE_SKETCH_POOL_H_
#define MUSTER_DAEMON_SIMULATE_SKETCH_POOL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/simulate/random.h"

namespace muster::simulate {

// No two ranks hold the same sketch at a step, and which one a rank holds does
// not depend on the steps before: ranks are as exchangeable as if each sketch
// had been drawn for its step. What does not change is the mean direction.
// Thread-compatible.
class SketchPool {
 public:
  struct Sketch {
    std::string bytes;
    double norm = 0;  // over |G|
  };

  void Add(Sketch sketch);
  // Deals to ranks 0 … ranks − 1. Requires: ranks ≤ size().
  void Deal(uint32_t ranks, Random& random);
  // What the rank holds. Requires: it was dealt to.
  const Sketch& Of(uint32_t rank) const { return sketches_[order_[rank]]; }
  size_t size() const { return sketches_.size(); }

 private:
  std::vector<Sketch> sketches_;
  std::vector<uint32_t> order_;
};

}  // namespace muster::simulate

#endif  // MUSTER_DAEMON_SIMULATE_SKETCH_POOL_H_
