#include "daemon/detect/text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace muster::detect {

std::string RankList(const std::vector<uint32_t>& ranks) {
  constexpr size_t kListed = 16;
  if (ranks.empty()) return "no rank";
  if (ranks.size() == 1) return absl::StrCat("rank ", ranks[0]);
  // "and 1 more" is longer than the rank itself.
  const size_t listed =
      ranks.size() <= kListed + 1 ? ranks.size() - 1 : kListed;
  std::string text = "ranks ";
  for (size_t i = 0; i < listed; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", ranks[i]);
  }
  if (listed == ranks.size() - 1) {
    absl::StrAppend(&text, " and ", ranks.back());
  } else {
    absl::StrAppend(&text, " and ", ranks.size() - listed, " more");
  }
  return text;
}

std::string RankListAtStart(const std::vector<uint32_t>& ranks) {
  std::string text = RankList(ranks);
  if (text[0] == 'r') text[0] = 'R';
  return text;
}

std::string Count(uint64_t count, std::string_view noun) {
  return absl::StrCat(count, " ", absl::string_view(noun.data(), noun.size()),
                      count == 1 ? "" : "s");
}

std::string Shorten(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  size_t end = bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;
  }
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace muster::detect
