#include "cli/output_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace muster::cli {

OutputFile::OutputFile(const std::string& path)
    : path_(path),
      file_(path.empty() ? stdout : std::fopen(path.c_str(), "w")) {
  // A closed pipe is an error of write(), not the end of this process.
  if (path.empty()) std::signal(SIGPIPE, SIG_IGN);
}

OutputFile::~OutputFile() {
  if (path_.empty() || file_ == nullptr) return;
  struct stat file = {};
  const bool is_file =
      ::fstat(::fileno(file_), &file) == 0 && S_ISREG(file.st_mode);
  std::fclose(file_);
  // /dev/stdout is not ours to remove.
  if (!complete_ && is_file) std::remove(path_.c_str());
}

absl::Status OutputFile::Write(const std::string& text) {
  if (file_ == nullptr) return Failed();
  if (std::fwrite(text.data(), 1, text.size(), file_) == text.size()) {
    return absl::OkStatus();
  }
  return Failed();
}

absl::Status OutputFile::Complete() {
  if (std::fflush(file_) != 0) return Failed();
  complete_ = true;
  return absl::OkStatus();
}

absl::Status OutputFile::Failed() const {
  if (errno == EPIPE && path_.empty()) return absl::CancelledError();
  return absl::AbortedError(absl::StrCat("cannot write ",
                                         path_.empty() ? "to stdout" : path_,
                                         ": ", std::strerror(errno)));
}

}  // namespace muster::cli
