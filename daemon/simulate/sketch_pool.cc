#include "daemon/simulate/sketch_pool.h"

#include <utility>

namespace muster::simulate {

void SketchPool::Add(Sketch sketch) {
  order_.push_back(static_cast<uint32_t>(sketches_.size()));
  sketches_.push_back(std::move(sketch));
}

void SketchPool::Deal(uint32_t ranks, Random& random) {
  // The first steps of a shuffle (Fisher and Yates 1938).
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    std::swap(order_[rank], order_[rank + random.Below(order_.size() - rank)]);
  }
}

}  // namespace muster::simulate
