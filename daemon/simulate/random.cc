#include "daemon/simulate/random.h"

#include <cmath>

namespace muster::simulate {

uint64_t Random::Bits() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

double Random::Gaussian() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double x;
  double y;
  double square;
  do {
    x = 2 * Uniform() - 1;
    y = 2 * Uniform() - 1;
    square = x * x + y * y;
  } while (square >= 1 || square == 0);
  const double factor = std::sqrt(-2 * std::log(square) / square);
  spare_ = y * factor;
  has_spare_ = true;
  return x * factor;
}

double Random::StudentT3() {
  // χ² with 3 degrees of freedom: an exponential and the square of a Gaussian.
  const double gaussian = Gaussian();
  const double chi_square = gaussian * gaussian - 2 * std::log(Uniform());
  return Gaussian() / std::sqrt(chi_square / 3) * (0.6745 / 0.7649);
}

}  // namespace muster::simulate
