#include "daemon/history/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace muster::history {

absl::StatusOr<std::unique_ptr<LockFile>> LockFile::Take(
    const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": ", std::strerror(errno)));
  }
  std::unique_ptr<LockFile> lock(new LockFile(file));
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": another musterd keeps its data here"));
  }
  return lock;
}

LockFile::~LockFile() { ::close(file_); }

}  // namespace muster::history
