// What `muster top` shows, as lines of text: pure, for any size of terminal.
#ifndef MUSTER_CLI_TOP_VIEW_H_
#define MUSTER_CLI_TOP_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "cli/screen_text.h"
#include "cli/sparkline.h"
#include "muster/v1/query.pb.h"

namespace muster::cli {

enum class TopSort { kDeviation, kRank, kLoss, kNorm, kCosine, kLag };
inline constexpr int kTopSortCount = 6;
// "deviation", "rank", …
const char* TopSortName(TopSort sort);
std::optional<TopSort> ParseTopSort(std::string_view name);

// What ranks deviate in, by the daemon's names: "loss", "gradient_norm",
// "gradient_cosine".
const char* TopMetricName(int metric);
inline constexpr int kTopMetricCount = 3;

// What the person has chosen.
struct TopState {
  std::string run;      // empty: the list of runs
  size_t selected = 0;  // row of the list
  size_t scroll = 0;    // first row shown of the ranks
  TopSort sort = TopSort::kDeviation;
  bool reversed = false;
  int metric = 0;  // 0 … kTopMetricCount − 1
  bool paused = false;
  bool help = false;
};

// Deviations of one rank from the median of all, in robust deviations, oldest
// first.
using Deviations = std::vector<std::optional<double>>;

// What the daemon has answered last.
struct TopData {
  std::string address;
  v1::ListRunsResponse runs;
  // Of the chosen run.
  std::string run;
  v1::ListRanksResponse ranks;
  v1::ListStepsResponse steps;
  std::map<uint32_t, Deviations> deviations;  // of TopState::metric
  v1::ListAlertsResponse alerts;              // of the run, or of all
  absl::Time taken = absl::InfinitePast();    // when all that was answered
  std::string trouble;  // why nothing newer has come; empty: all is well
};

// At most `height` lines of at most `width` columns. What does not fit is left
// out from the least important part; `width` ≥ 1, `height` ≥ 1.
std::vector<Line> RenderTop(const TopData& data, const TopState& state,
                            size_t width, size_t height, Glyphs glyphs,
                            absl::Time now);

// How many rows of ranks there are to scroll through, beyond those shown.
size_t TopScrollEnd(const TopData& data, size_t height);

}  // namespace muster::cli

#endif  // MUSTER_CLI_TOP_VIEW_H_
