#include "daemon/reference_file.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace muster {
namespace {

constexpr size_t kColumns = 2 + detect::kGroupMetrics.size();

std::string Shortest(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return std::string(text, end);
}

bool ParseFinite(absl::string_view text, double& value) {
  return absl::SimpleAtod(text, &value) && std::isfinite(value);
}

bool ParseStep(const std::string& line, uint64_t& step,
               detect::GroupValues& group) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, ' ', absl::SkipEmpty());
  if (words.size() != kColumns) return false;
  if (!absl::SimpleAtoi(words[0], &step)) return false;
  for (size_t i = 0; i < group.values.size(); ++i) {
    if (words[i + 1] == "-") continue;
    double value = 0;
    if (!ParseFinite(words[i + 1], value)) return false;
    group.values[i] = value;
  }
  return ParseFinite(words.back(), group.log_weight);
}

}  // namespace

std::string ReferenceText(
    const std::map<uint64_t, detect::GroupValues>& steps) {
  std::string text = absl::StrCat(kReferenceHeader, "\n");
  for (const auto& [step, group] : steps) {
    absl::StrAppend(&text, step);
    for (const auto& value : group.values) {
      absl::StrAppend(&text, " ", value ? Shortest(*value) : "-");
    }
    absl::StrAppend(&text, " ", Shortest(group.log_weight), "\n");
  }
  return text;
}

absl::StatusOr<std::shared_ptr<const detect::ReferenceCurve>> ParseReference(
    const std::string& text, const std::string& name) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  const auto error = [&](size_t line, const std::string& what) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ":", line, ": ", what));
  };
  if (lines[0] != kReferenceHeader) {
    return error(1, absl::StrCat("not a reference; it begins with '",
                                 kReferenceHeader, "'"));
  }
  auto curve = std::make_shared<detect::ReferenceCurve>();
  std::optional<uint64_t> last;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty() || lines[i][0] == '#') continue;
    uint64_t step = 0;
    detect::GroupValues group;
    if (!ParseStep(lines[i], step, group)) {
      return error(i + 1, "expected a step, three numbers or '-', a number");
    }
    if (last && step <= *last) {
      return error(i + 1, absl::StrCat("step ", step, " after step ", *last));
    }
    last = step;
    curve->Add(step, group);
  }
  if (!last) return error(lines.size(), "it has no step");
  return curve;
}

absl::Status LoadReference(Config& config) {
  config.detect.reference = nullptr;
  const std::string& path = config.reference_file;
  if (path.empty()) return absl::OkStatus();
  std::string reason;
  std::ifstream file(path);
  if (!file) reason = std::strerror(errno);
  // A folder can be opened, but not read.
  if (std::filesystem::is_directory(path)) reason = "it is a folder";
  if (!reason.empty()) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot read detect.reference: ", reason));
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto curve = ParseReference(text, path);
  if (!curve.ok()) return curve.status();
  config.detect.reference = *std::move(curve);
  return absl::OkStatus();
}

}  // namespace muster
