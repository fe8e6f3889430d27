// Words that several detectors' evidence shares.
#ifndef MUSTER_DAEMON_DETECT_TEXT_H_
#define MUSTER_DAEMON_DETECT_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster::detect {

// "rank 3", "ranks 0 and 5", "ranks 0, 1, 2 and 500 more".
std::string RankList(const std::vector<uint32_t>& ranks);

// As RankList, with a capital R.
std::string RankListAtStart(const std::vector<uint32_t>& ranks);

// "1 step", "7 steps".
std::string Count(uint64_t count, std::string_view noun);

// `text` if it has at most `bytes` bytes, else its beginning, cut between two
// UTF-8 characters, and "…".
std::string Shorten(std::string_view text, size_t bytes);

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_TEXT_H_
