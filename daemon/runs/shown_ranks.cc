#include "daemon/runs/shown_ranks.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

namespace muster::runs {
namespace {

using consistency::RankMeasures;

// A frame counts for this many at most, then its weight falls.
constexpr uint32_t kMemoryFrames = 32;
// A newcomer has to be so much more deviant than who is shown.
constexpr double kAdvantage = 1.5;
// One frame counts at most this, whatever its values, so that it is forgotten.
constexpr double kMaxScore = 100;
constexpr double kAbsentScore = 10;

double Median(std::vector<double>& values) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Raises scores[i] to the distance of ranks[i]'s value from the median.
void Score(const std::vector<RankMeasures>& ranks,
           std::optional<double> RankMeasures::*value,
           std::vector<double>& scores) {
  std::vector<double> values;
  values.reserve(ranks.size());
  for (const RankMeasures& rank : ranks) {
    if (rank.*value) values.push_back(*(rank.*value));
  }
  if (values.empty()) return;
  const double median = Median(values);
  double squares = 0;
  for (double& x : values) {
    x = std::abs(x - median);
    squares += x * x;
  }
  double scale = 1.4826 * Median(values);
  // More than half are equal.
  if (scale == 0) scale = std::sqrt(squares / values.size());
  if (!(scale > 0)) return;
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (!(ranks[i].*value)) continue;
    scores[i] =
        std::max(scores[i], std::abs(*(ranks[i].*value) - median) / scale);
  }
}

std::vector<double> FrameScores(const std::vector<RankMeasures>& ranks) {
  std::vector<double> scores(ranks.size(), 0);
  Score(ranks, &RankMeasures::loss, scores);
  Score(ranks, &RankMeasures::gradient_norm, scores);
  Score(ranks, &RankMeasures::gradient_cosine, scores);
  for (size_t i = 0; i < ranks.size(); ++i) {
    const bool finite = !ranks[i].loss_nonfinite &&
                        ranks[i].nonfinite_count == 0 && scores[i] < kMaxScore;
    if (!finite) scores[i] = kMaxScore;
  }
  return scores;
}

}  // namespace

void ShownRanks::Take(const consistency::Measures& frame) {
  if (frame.ranks_expected <= kMaxRanksWithSeries) {
    states_.clear();
    ranks_.clear();
    return;
  }
  states_.resize(frame.ranks_expected);
  const auto add = [](State& state, double score) {
    state.frames = std::min(state.frames + 1, kMemoryFrames);
    state.score += (score - state.score) / state.frames;
  };
  const std::vector<double> scores = FrameScores(frame.ranks);
  size_t present = 0;
  for (uint32_t rank = 0; rank < states_.size(); ++rank) {
    while (present < scores.size() && frame.ranks[present].rank < rank) {
      ++present;
    }
    if (present < scores.size() && frame.ranks[present].rank == rank) {
      add(states_[rank], scores[present]);
    } else if (states_[rank].frames > 0) {
      add(states_[rank], kAbsentScore);
    }
  }
  Choose();
}

void ShownRanks::Leave(uint32_t rank) {
  if (rank >= states_.size()) return;
  states_[rank] = {};
  Choose();
}

void ShownRanks::Choose() {
  const auto key = [this](uint32_t rank) {
    const State& state = states_[rank];
    if (state.frames == 0) return -1.0;
    return state.shown ? kAdvantage * state.score : state.score;
  };
  std::vector<uint32_t> order(states_.size());
  std::iota(order.begin(), order.end(), 0u);
  const size_t count = std::min(kDeviantRanks, order.size());
  std::partial_sort(order.begin(), order.begin() + count, order.end(),
                    [&](uint32_t a, uint32_t b) {
                      if (key(a) != key(b)) return key(a) > key(b);
                      if (states_[a].shown != states_[b].shown) {
                        return states_[a].shown;
                      }
                      return a < b;
                    });
  for (State& state : states_) state.shown = false;
  ranks_.clear();
  for (size_t i = 0; i < count && states_[order[i]].frames > 0; ++i) {
    states_[order[i]].shown = true;
    ranks_.push_back(order[i]);
  }
  std::sort(ranks_.begin(), ranks_.end());
}

}  // namespace muster::runs
