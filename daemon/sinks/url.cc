#include "daemon/sinks/url.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace muster::sinks {
namespace {

// A link names no more ranks; the page shows which others there are.
constexpr size_t kRanksInLink = 16;

// "user@host:9093" of "http://user@host:9093/path".
std::string_view Authority(std::string_view url) {
  url.remove_prefix(url.find("://") + 3);
  return url.substr(0, url.find_first_of("/?#"));
}

bool IsPort(std::string_view digits) {
  if (digits.empty() || digits.size() > 5) return false;
  int port = 0;
  for (const char digit : digits) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(digit))) return false;
    port = port * 10 + (digit - '0');
  }
  return port >= 1 && port <= 65535;
}

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      out += c;
    } else {
      absl::StrAppend(&out, "%", absl::Hex(byte, absl::kZeroPad2));
    }
  }
  return out;
}

}  // namespace

std::string CheckUrl(std::string_view url) {
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return "must begin with http:// or https://";
  }
  const std::string_view authority = Authority(url);
  if (authority.find('@') != std::string_view::npos) {
    return "must not have a user or password, which would be shown with it; "
           "use username and password_file or password_env";
  }
  // Where readers of URLs differ on where the host ends.
  const auto is_odd = [](char c) {
    return c <= 0x20 || c >= 0x7F || c == '\\' || c == '"' || c == '<' ||
           c == '>';
  };
  if (std::any_of(url.begin(), url.end(), is_odd)) {
    return "must be printable ASCII without spaces, quotes or backslashes";
  }
  size_t end = authority.find(':');
  if (authority.starts_with('[')) {
    end = authority.find(']');
    if (end == std::string_view::npos) return "names no host";
    ++end;
  }
  const std::string_view host = authority.substr(0, end);
  const std::string_view rest =
      end < authority.size() ? authority.substr(end) : std::string_view();
  if (host.empty()) return "names no host";
  if (!rest.empty() && (rest[0] != ':' || !IsPort(rest.substr(1)))) {
    return "has no good port";
  }
  return "";
}

std::string PathOf(std::string_view url) {
  const std::string_view authority = Authority(url);
  return std::string(url.substr(
      static_cast<size_t>(authority.data() - url.data()) + authority.size()));
}

std::string ShortenUrl(std::string_view url) {
  const std::string rest = PathOf(url);
  if (rest.empty() || rest == "/") return std::string(url);
  return std::string(url.substr(0, url.size() - rest.size())) + "/…";
}

std::string HostOf(std::string_view url) { return std::string(Authority(url)); }

std::string PageLink(const SinkOptions& options, std::string_view run,
                     const alert::Alert& alert) {
  if (options.external_url.empty()) return "";
  std::string_view base = options.external_url;
  while (base.ends_with('/')) base.remove_suffix(1);
  const detect::Finding& finding = alert.finding;
  std::string link = absl::StrCat(
      std::string(base), "/#/runs/", Escape(run), "?from=", finding.first_step,
      "&to=", std::max(finding.first_step, finding.last_step));
  for (size_t i = 0; i < finding.ranks.size() && i < kRanksInLink; ++i) {
    absl::StrAppend(&link, i == 0 ? "&rank=" : ",", finding.ranks[i]);
  }
  return link;
}

std::string DashboardLink(const SinkOptions& options, std::string_view run) {
  return absl::StrReplaceAll(options.dashboard_url, {{"{run}", Escape(run)}});
}

}  // namespace muster::sinks
