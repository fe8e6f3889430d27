// Values as JSON, whatever bytes they hold: for the log and for sinks.
#ifndef MUSTER_DAEMON_ALERT_JSON_H_
#define MUSTER_DAEMON_ALERT_JSON_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster::alert {

// Texts are cut at so many bytes, and lists of ranks at so many ranks.
inline constexpr size_t kJsonTextBytes = 1024;
inline constexpr size_t kJsonRanks = 64;

// A string with its quotes: valid UTF-8, where a byte that is none becomes
// U+FFFD, cut at `bytes` bytes before escapes.
std::string JsonText(std::string_view text, size_t bytes = kJsonTextBytes);

// The shortest decimal that reads back as the same number; null if `value` is
// not finite.
std::string JsonNumber(double value);

// "[0,5]".
std::string JsonRanks(const std::vector<uint32_t>& ranks);

}  // namespace muster::alert

#endif  // MUSTER_DAEMON_ALERT_JSON_H_
