#include "daemon/sinks/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace muster::sinks {
namespace {

// Ends a line that was not finished: no whole line has it.
constexpr char kTorn = '\x18';

std::string LineOf(const QueuedChange& change) {
  return absl::StrCat("+", change.number, "\t", change.id, "\t", change.body,
                      "\n");
}

}  // namespace

Journal::Journal(std::string path) : path_(std::move(path)) {}

Journal::~Journal() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::deque<QueuedChange> Journal::Load() const {
  std::deque<QueuedChange> waiting;
  std::ifstream file(path_, std::ios::binary);
  std::string line;
  // The last line has its end, or it is not whole.
  while (std::getline(file, line) && !file.eof()) {
    if (line.empty() || line.back() == kTorn) continue;
    const std::vector<std::string> parts =
        absl::StrSplit(line.substr(1), absl::MaxSplits('\t', 2));
    uint64_t number = 0;
    if (!absl::SimpleAtoi(parts[0], &number)) continue;
    if (line[0] == '+' && parts.size() == 3) {
      waiting.push_back({number, parts[1], parts[2]});
    } else if (line[0] == '-') {
      while (!waiting.empty() && waiting.front().number <= number) {
        waiting.pop_front();
      }
    }
  }
  return waiting;
}

absl::Status Journal::Open() {
  if (descriptor_ >= 0) return absl::OkStatus();
  descriptor_ =
      ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0) return Error("open");
  const off_t end = ::lseek(descriptor_, 0, SEEK_END);
  bytes_ = end > 0 ? static_cast<size_t>(end) : 0;
  // What a daemon before this one did not finish must neither swallow a line
  // nor be taken for one.
  absl::Status status = bytes_ > 0 ? Append({kTorn, '\n'}) : absl::OkStatus();
  if (!status.ok()) ::close(std::exchange(descriptor_, -1));
  return status;
}

absl::Status Journal::Append(const std::string& line) {
  // In one write, so that a line is whole or the last.
  const ssize_t written = ::write(descriptor_, line.data(), line.size());
  if (written < 0) return Error("write");
  if (written != static_cast<ssize_t>(line.size())) {
    // The disk is full. What follows must not be taken for the rest.
    if (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) == 0) {
      errno = ENOSPC;
    }
    return Error("write");
  }
  bytes_ += line.size();
  return absl::OkStatus();
}

absl::Status Journal::Add(const QueuedChange& change) {
  absl::Status status = Open();
  return status.ok() ? Append(LineOf(change)) : status;
}

absl::Status Journal::Taken(uint64_t number, bool none_waits) {
  absl::Status status = Open();
  if (!status.ok()) return status;
  if (!none_waits) return Append(absl::StrCat("-", number, "\n"));
  if (::ftruncate(descriptor_, 0) != 0) return Error("empty");
  bytes_ = 0;
  return absl::OkStatus();
}

absl::Status Journal::Rewrite(const std::deque<QueuedChange>& waiting) {
  const std::string draft = path_ + ".new";
  std::ofstream file(draft, std::ios::binary | std::ios::trunc);
  for (const QueuedChange& change : waiting) file << LineOf(change);
  file.close();
  if (!file || ::rename(draft.c_str(), path_.c_str()) != 0) {
    return Error("write");
  }
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  absl::Status status = Open();
  long_at_ = std::max(kMaxBytes, 2 * bytes_);
  return status;
}

absl::Status Journal::Error(const char* what) const {
  return absl::UnavailableError(
      absl::StrCat("cannot ", what, " ", path_, ": ", std::strerror(errno)));
}

}  // namespace muster::sinks
