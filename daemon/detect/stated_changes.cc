#include "daemon/detect/stated_changes.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"

namespace muster::detect {
namespace {

constexpr size_t kRecentFrames = 32;
constexpr size_t kNewestFrames = 4;
constexpr double kRateFactor = 1.1;
constexpr double kWeightFactor = 1.2;

std::optional<double> LearningRateOf(const frames::Frame& frame) {
  for (const frames::Report& report : frame.reports) {
    if (report.learning_rate) return report.learning_rate;
  }
  if (frame.reports.empty() || frame.reports[0].facts == nullptr) {
    return std::nullopt;
  }
  for (const char* name : {"learning_rate", "lr"}) {
    const auto it = frame.reports[0].facts->find(name);
    double rate = 0;
    if (it != frame.reports[0].facts->end() &&
        absl::SimpleAtod(it->second.value, &rate)) {
      return rate;
    }
  }
  return std::nullopt;
}

}  // namespace

bool StatedChanges::Take(const frames::Frame& frame, double log_weight) {
  // Each has to see each frame.
  const bool rate = LearningRateChanged(frame);
  const bool weight = WeightChanged(log_weight);
  const bool facts = FactsChanged(frame);
  return rate || weight || facts;
}

bool StatedChanges::LearningRateChanged(const frames::Frame& frame) {
  const std::optional<double> rate = LearningRateOf(frame);
  if (!rate) return false;
  learning_rates_.push_back(*rate);
  if (learning_rates_.size() > kRecentFrames + 1) learning_rates_.pop_front();
  const double then = std::abs(learning_rates_.front());
  const double now = std::abs(*rate);
  return std::max(then, now) > kRateFactor * std::min(then, now);
}

bool StatedChanges::WeightChanged(double log_weight) {
  log_weights_.push_back(log_weight);
  if (log_weights_.size() > kRecentFrames) log_weights_.pop_front();
  if (log_weights_.size() < 2 * kNewestFrames) return false;
  const auto split = log_weights_.end() - kNewestFrames;
  const auto before = std::minmax_element(log_weights_.begin(), split);
  const auto newest = std::minmax_element(split, log_weights_.end());
  const double apart =
      std::max(*newest.first - *before.second, *before.first - *newest.second);
  if (apart <= std::log(kWeightFactor)) return false;
  log_weights_.erase(log_weights_.begin(), split);
  return true;
}

bool StatedChanges::FactsChanged(const frames::Frame& frame) {
  if (frame.reports.empty()) return false;
  const auto& facts = frame.reports[0].facts;
  if (facts == nullptr || facts == facts_) return false;
  const bool first = facts_ == nullptr;
  facts_ = facts;
  std::map<std::string, std::string> stated;
  for (const auto& [name, fact] : *facts) {
    if (name.find("batch") != std::string::npos ||
        name.find("accumulation") != std::string::npos) {
      stated[name] = fact.value;
    }
  }
  const bool changed = !first && stated != stated_;
  stated_ = std::move(stated);
  return changed;
}

}  // namespace muster::detect
