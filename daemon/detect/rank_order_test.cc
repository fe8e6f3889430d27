#include "daemon/detect/rank_order_test.h"

#include <algorithm>
#include <cmath>

namespace muster::detect {

Orders OrdersAmong(std::span<const double> values, double value, double margin,
                   bool included) {
  const size_t self = included ? 1 : 0;
  const size_t count = values.size() + 1 - self;
  const auto first_not_below = [&](double bound) -> size_t {
    return std::lower_bound(values.begin(), values.end(), bound) -
           values.begin();
  };
  const auto first_above = [&](double bound) -> size_t {
    return std::upper_bound(values.begin(), values.end(), bound) -
           values.begin();
  };
  Orders orders;
  if (margin > 0) {
    orders.upper.beyond =
        values.size() - first_not_below(value - margin) - self;
    orders.lower.beyond = first_above(value + margin) - self;
  } else {
    const size_t low = first_not_below(value);
    const size_t high = first_above(value);
    orders.upper.beyond = values.size() - high;
    orders.lower.beyond = low;
    orders.upper.tied = orders.lower.tied = high - low - self;
  }
  orders.upper.count = orders.lower.count = count;
  return orders;
}

void BetTable::Prepare(size_t count) {
  for (size_t k = powers_.size(); k <= count; ++k) {
    const auto value = static_cast<double>(k);
    Bets power;
    Bets scale;
    for (size_t i = 0; i < kExponents.size(); ++i) {
      power[i] = std::pow(value, kExponents[i]);
      scale[i] = std::pow(value, 1 - kExponents[i]);
    }
    powers_.push_back(power);
    scales_.push_back(scale);
  }
}

Bets BetTable::BetsOn(const Order& order) const {
  // The sum of the bets on tied positions telescopes too.
  const Bets& low = powers_[order.beyond];
  const Bets& high = powers_[order.beyond + order.tied + 1];
  const Bets& scale = scales_[order.count];
  const auto positions = static_cast<double>(order.tied + 1);
  Bets bets;
  for (size_t i = 0; i < bets.size(); ++i) {
    bets[i] = scale[i] * (high[i] - low[i]) / positions;
  }
  return bets;
}

void RankOrderStream::Add(const Bets& bets, uint64_t step, double deviation) {
  double sum = 0;
  for (size_t i = 0; i < bets.size(); ++i) {
    evidence_[i] = bets[i] * (1 + evidence_[i]);
    sum += bets[i];
  }
  const double mean_bet = sum / static_cast<double>(bets.size());
  if (page_ <= 1) {
    page_ = mean_bet;
    onset_step_ = step;
    onset_bets_ = 0;
    deviation_sum_ = 0;
  } else {
    page_ *= mean_bet;
  }
  ++onset_bets_;
  deviation_sum_ += deviation;
}

double RankOrderStream::statistic() const {
  double sum = 0;
  for (double evidence : evidence_) sum += evidence;
  return sum / static_cast<double>(evidence_.size());
}

}  // namespace muster::detect
