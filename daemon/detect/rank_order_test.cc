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

void OrdersOfAll(std::span<const double> values, double margin,
                 std::vector<Orders>& orders) {
  const size_t count = values.size();
  orders.resize(count);
  // Of the value in turn: the first not below its lower bound, and one past the
  // last not above its upper bound.
  size_t low = 0;
  size_t high = 0;
  for (size_t i = 0; i < count; ++i) {
    while (values[low] < values[i] - margin) ++low;
    while (high < count && values[high] <= values[i] + margin) ++high;
    Orders& each = orders[i];
    if (margin > 0) {
      each.upper = {count - low - 1, 0, count};
      each.lower = {high - 1, 0, count};
    } else {
      each.upper = {count - high, high - low - 1, count};
      each.lower = {low, high - low - 1, count};
    }
  }
}

void BetTable::Prepare(size_t count) {
  // One more: a value from outside may be compared with them.
  for (size_t k = powers_.size(); k <= count + 1; ++k) {
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
  if (count == untied_.size()) return;
  untied_.clear();
  for (size_t k = 0; k < count; ++k) untied_.push_back(Compute({k, 0, count}));
}

Bets BetTable::Compute(const Order& order) const {
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

}  // namespace muster::detect
