// How far the mean of one series lies from that of another one, and how
// uncertain that is, where neighbours in a series are alike.
#ifndef MUSTER_CLI_BLOCK_BOOTSTRAP_H_
#define MUSTER_CLI_BLOCK_BOOTSTRAP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace muster::cli {

enum class Contrast {
  kRatio,       // mean of a / mean of b
  kDifference,  // mean of a − mean of b
};

struct Estimate {
  double a = 0;      // mean
  double b = 0;      // mean
  double value = 0;  // the contrast
  // 95 % confidence interval of the contrast.
  double low = 0;
  double high = 0;
  size_t pairs = 0;
  size_t block = 0;  // pairs in a block
};

// Fewer pairs than this say too little.
inline constexpr size_t kLeastPairs = 50;

// Moving-block bootstrap (Künsch, "The jackknife and the bootstrap for general
// stationary observations", Annals of Statistics 17, 1989) with a fixed seed:
// 2,000 times a series as long as this one is put together from blocks of
// `block` neighbouring pairs (a_t, b_t), each beginning anywhere with equal
// probability. Pairs stay together, so what both series have in common cancels.
// The interval is the middle 95 % of the contrasts, shifted so that their mean
// is the contrast of the series itself: its ends stand in fewer blocks than its
// middle (Lahiri, 1992).
//
// block = (6n)^(1/3)·(ρ/(1 − ρ²))^(2/3), the length of least mean square error
// of the variance for an autoregression of order 1 (Politis and White,
// Econometric Reviews 23, 2004, with their G and g(0) in closed form), ρ being
// the correlation of neighbours in a − b, or in a − ratio·b; at least 10 and at
// most n/5.
//
// The interval is an approximation for n many times the block. It is too short
// where correlation reaches further than n/5.
//
// a and b are of one length and finite. Absent with fewer than kLeastPairs, and
// for a ratio where b, or a resample of it, has no positive mean.
std::optional<Estimate> Bootstrap(Contrast contrast,
                                  const std::vector<double>& a,
                                  const std::vector<double>& b);

}  // namespace muster::cli

#endif  // MUSTER_CLI_BLOCK_BOOTSTRAP_H_
