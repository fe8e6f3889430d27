#include "daemon/sinks/remote_write/marks.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace muster::sinks::remote_write {
namespace {

constexpr char kFirstLine[] = "muster remote write marks 1";
// So that half a file is not taken for a whole one.
constexpr char kLastLine[] = "end";

absl::Status Error(const std::string& path) {
  return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
}

bool WriteAll(int file, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(file, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    done += static_cast<size_t>(wrote);
  }
  return ::fsync(file) == 0;
}

// "HISTORY_RUN POSITION TIME_MS NAME".
bool ParseRun(const std::string& line, Marks& marks) {
  const std::vector<std::string> parts =
      absl::StrSplit(line, absl::MaxSplits(' ', 3));
  Mark mark;
  std::string name;
  if (parts.size() != 4 ||
      !absl::SimpleAtoi(parts[0], &mark.place.history_run) ||
      !absl::SimpleAtoi(parts[1], &mark.place.position) ||
      !absl::SimpleAtoi(parts[2], &mark.time_ms) ||
      !absl::CUnescape(parts[3], &name)) {
    return false;
  }
  marks.runs[name] = mark;
  return true;
}

}  // namespace

absl::StatusOr<Marks> ReadMarks(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": not there"));
  std::ostringstream text;
  text << file.rdbuf();
  const std::vector<std::string> lines =
      absl::StrSplit(text.str(), '\n', absl::SkipEmpty());
  const auto damaged = [&](size_t line) {
    return absl::DataLossError(
        absl::StrCat(path, ":", line + 1, ": not what was written there"));
  };
  Marks marks;
  if (lines.size() < 3 || lines[0] != kFirstLine) return damaged(0);
  if (!absl::SimpleAtoi(lines[1], &marks.since_ms)) return damaged(1);
  if (lines.back() != kLastLine) return damaged(lines.size() - 1);
  for (size_t i = 2; i + 1 < lines.size(); ++i) {
    if (!ParseRun(lines[i], marks)) return damaged(i);
  }
  return marks;
}

absl::Status WriteMarks(const std::string& path, const Marks& marks) {
  std::string text = absl::StrCat(kFirstLine, "\n", marks.since_ms, "\n");
  for (const auto& [name, mark] : marks.runs) {
    absl::StrAppend(&text, mark.place.history_run, " ", mark.place.position,
                    " ", mark.time_ms, " ", absl::Utf8SafeCEscape(name), "\n");
  }
  absl::StrAppend(&text, kLastLine, "\n");
  const std::string fresh = path + ".new";
  const int file =
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return Error(fresh);
  const bool wrote = WriteAll(file, text);
  absl::Status status = wrote ? absl::OkStatus() : Error(fresh);
  ::close(file);
  if (!status.ok()) return status;
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return Error(path);
  return absl::OkStatus();
}

}  // namespace muster::sinks::remote_write
