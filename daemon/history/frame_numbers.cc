#include "daemon/history/frame_numbers.h"

#include <cmath>
#include <optional>

namespace muster::history {
namespace {

double OrAbsent(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? *value : kAbsent;
}

}  // namespace

FrameNumbers NumbersOf(const consistency::Measures& measures) {
  FrameNumbers numbers;
  numbers.attempt = measures.attempt;
  numbers.step = measures.step;
  const auto& loss = measures.loss;
  const auto& norm = measures.gradient_norm;
  numbers.values = {
      OrAbsent(measures.loss_mean),
      loss ? OrAbsent(loss->stddev) : kAbsent,
      norm ? OrAbsent(norm->mean) : kAbsent,
      norm ? OrAbsent(norm->stddev) : kAbsent,
      OrAbsent(measures.cosine_mean),
      OrAbsent(measures.cosine_min),
      OrAbsent(measures.cosine_expected),
      static_cast<double>(measures.ranks_reporting),
  };
  numbers.ranks.reserve(measures.ranks.size());
  for (const consistency::RankMeasures& rank : measures.ranks) {
    numbers.ranks.push_back({rank.rank,
                             {OrAbsent(rank.loss), OrAbsent(rank.gradient_norm),
                              OrAbsent(rank.gradient_cosine)}});
  }
  return numbers;
}

}  // namespace muster::history
