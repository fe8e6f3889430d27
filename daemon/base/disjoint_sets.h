// Groups that grow together: union-find.
#ifndef MUSTER_DAEMON_BASE_DISJOINT_SETS_H_
#define MUSTER_DAEMON_BASE_DISJOINT_SETS_H_

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace muster {

// Sets of the numbers 0 … count − 1, each alone at first; a set is known by its
// smallest member. Thread-compatible.
class DisjointSets {
 public:
  explicit DisjointSets(size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }
  size_t Find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void Join(size_t a, size_t b) {
    a = Find(a);
    b = Find(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> parent_;
};

}  // namespace muster

#endif  // MUSTER_DAEMON_BASE_DISJOINT_SETS_H_
