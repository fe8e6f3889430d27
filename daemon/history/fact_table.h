// Numbers for the sets of facts of one run: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_FACT_TABLE_H_
#define MUSTER_DAEMON_HISTORY_FACT_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "daemon/frames/report.h"

namespace muster::history {

// Equal sets have one number as long as they are remembered: the newest
// kRemembered ones are. Thread-compatible.
class FactTable {
 public:
  static constexpr size_t kRemembered = 4096;

  // Numbers up to `last` are taken.
  explicit FactTable(uint64_t last) : last_(last) {}

  // The number of the set; a new set is appended to `fresh`.
  uint64_t Number(
      const std::shared_ptr<const frames::FactSet>& facts,
      std::vector<std::pair<uint64_t, std::shared_ptr<const frames::FactSet>>>&
          fresh) {
    const auto known = by_address_.find(facts.get());
    if (known != by_address_.end()) return known->second.number;
    if (by_address_.size() >= kRemembered) {
      by_address_.clear();
      by_content_.clear();
    }
    auto [same, is_new] = by_content_.try_emplace(*facts, last_ + 1);
    if (is_new) fresh.emplace_back(++last_, facts);
    by_address_[facts.get()] = {facts, same->second};
    return same->second;
  }

 private:
  struct Known {
    std::shared_ptr<const frames::FactSet> facts;  // keeps the address taken
    uint64_t number = 0;
  };
  struct Less {
    bool operator()(const frames::FactSet& a, const frames::FactSet& b) const {
      return std::lexicographical_compare(
          a.begin(), a.end(), b.begin(), b.end(),
          [](const auto& x, const auto& y) {
            return std::tie(x.first, x.second.value, x.second.shown_only) <
                   std::tie(y.first, y.second.value, y.second.shown_only);
          });
    }
  };

  uint64_t last_;
  std::map<const frames::FactSet*, Known> by_address_;
  std::map<frames::FactSet, uint64_t, Less> by_content_;
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_FACT_TABLE_H_
