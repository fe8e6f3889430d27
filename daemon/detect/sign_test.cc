#include "daemon/detect/sign_test.h"

namespace muster::detect {

void SignTest::Add(bool above, uint64_t step) {
  double sum = 0;
  for (size_t i = 0; i < kStakes.size(); ++i) {
    const double bet = above ? 1 + kStakes[i] : 1 - kStakes[i];
    evidence_[i] = bet * (1 + evidence_[i]);
    sum += bet;
  }
  const double mean_bet = sum / static_cast<double>(kStakes.size());
  if (page_ <= 1) {
    page_ = mean_bet;
    onset_step_ = step;
    onset_votes_ = 0;
  } else {
    page_ *= mean_bet;
  }
  ++onset_votes_;
}

double SignTest::statistic() const {
  double sum = 0;
  for (double evidence : evidence_) sum += evidence;
  return sum / static_cast<double>(kStakes.size());
}

}  // namespace muster::detect
