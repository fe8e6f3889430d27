// The numbers of one frame that are drawn: a few of the frame, three of each
// rank.
#ifndef MUSTER_DAEMON_HISTORY_FRAME_NUMBERS_H_
#define MUSTER_DAEMON_HISTORY_FRAME_NUMBERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "daemon/consistency/measures.h"

namespace muster::history {

inline constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

// Numbers of a frame as a whole, by index.
enum class FrameNumber : size_t {
  kLossMean,
  kLossStddev,
  kGradientNormMean,
  kGradientNormStddev,
  kCosineMean,
  kCosineMin,
  kCosineExpected,
  kRanksReporting,
};
inline constexpr size_t kFrameNumberCount = 8;

// Numbers of each rank, by index.
enum class RankNumber : size_t { kLoss, kGradientNorm, kCosine };
inline constexpr size_t kRankNumberCount = 3;

struct RankNumbers {
  uint32_t rank = 0;
  std::array<double, kRankNumberCount> values = {kAbsent, kAbsent, kAbsent};

  double operator[](RankNumber i) const {
    return values[static_cast<size_t>(i)];
  }
};

// Absent numbers are NaN, and none is infinite.
struct FrameNumbers {
  uint32_t attempt = 0;
  uint64_t step = 0;
  std::array<double, kFrameNumberCount> values = {};
  std::vector<RankNumbers> ranks;  // ascending
};

// Of a frame in memory.
FrameNumbers NumbersOf(const consistency::Measures& measures);

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_FRAME_NUMBERS_H_
